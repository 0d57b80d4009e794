#include "agon/base/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace agon {
namespace {

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
alignas(16) constexpr std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void blocks_portable(std::array<std::uint32_t, 8>& state, const unsigned char* at, std::size_t count) {
  for (; count > 0; --count, at += 64) {
    std::uint32_t w[64];
    for (int t = 0; t < 16; ++t) {
      w[t] = std::uint32_t{at[4 * t]} << 24 | std::uint32_t{at[4 * t + 1]} << 16 |
             std::uint32_t{at[4 * t + 2]} << 8 | at[4 * t + 3];
    }
    for (int t = 16; t < 64; ++t) {
      const std::uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
      const std::uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (int t = 0; t < 64; ++t) {
      const std::uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                               ((e & f) ^ (~e & g)) + kRound[t] + w[t];
      const std::uint32_t t2 =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const std::uint32_t add[8] = {a, b, c, d, e, f, g, h};
    for (int k = 0; k < 8; ++k) state[k] += add[k];
  }
}

#if defined(__x86_64__)
bool has_instructions() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("sse4.1") != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (b >> 29 & 1) != 0;
  }();
  return has;
}

__attribute__((target("sha,sse4.1"))) void blocks_sha(std::array<std::uint32_t, 8>& state,
                                                      const unsigned char* at, std::size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions hold the eight words as (a, b, e, f) and (c, d, g, h), highest first.
  auto* words = reinterpret_cast<int*>(state.data());
  __m128i abef = _mm_set_epi32(words[0], words[1], words[4], words[5]);
  __m128i cdgh = _mm_set_epi32(words[2], words[3], words[6], words[7]);
  for (; count > 0; --count, at += 64) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
#pragma GCC unroll 16
    for (int t = 0; t < 16; ++t) {  // four rounds a turn; w holds the last 16 words of the schedule
      __m128i& now = w[t % 4];
      if (t < 4) {
        now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * t)), big_endian);
      } else {
        const __m128i last = w[(t + 3) % 4];
        now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, w[(t + 1) % 4]),
                                                 _mm_alignr_epi8(last, w[(t + 2) % 4], 4)),
                                   last);
      }
      __m128i message = _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i*>(kRound + 4 * t)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, message);
      message = _mm_shuffle_epi32(message, 0x0E);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, message);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  words[0] = _mm_extract_epi32(abef, 3);
  words[1] = _mm_extract_epi32(abef, 2);
  words[4] = _mm_extract_epi32(abef, 1);
  words[5] = _mm_extract_epi32(abef, 0);
  words[2] = _mm_extract_epi32(cdgh, 3);
  words[3] = _mm_extract_epi32(cdgh, 2);
  words[6] = _mm_extract_epi32(cdgh, 1);
  words[7] = _mm_extract_epi32(cdgh, 0);
}
#else
bool has_instructions() { return false; }
void blocks_sha(std::array<std::uint32_t, 8>& state, const unsigned char* at, std::size_t count) {
  blocks_portable(state, at, count);
}
#endif

}  // namespace

Sha256::Sha256(bool portable)
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      instructions_(!portable && has_instructions()) {}

void Sha256::blocks(const unsigned char* at, std::size_t count) {
  if (instructions_) {
    blocks_sha(state_, at, count);
  } else {
    blocks_portable(state_, at, count);
  }
}

void Sha256::update(const void* bytes, std::size_t size) {
  if (size == 0) return;
  const auto* at = static_cast<const unsigned char*>(bytes);
  const std::size_t held = size_ % 64;
  size_ += size;
  if (held > 0) {
    const std::size_t n = std::min(size, 64 - held);
    std::memcpy(rest_.data() + held, at, n);
    if (held + n < 64) return;
    blocks(rest_.data(), 1);
    at += n;
    size -= n;
  }
  blocks(at, size / 64);
  if (size % 64 > 0) std::memcpy(rest_.data(), at + size / 64 * 64, size % 64);
}

std::array<unsigned char, 32> Sha256::finish() {
  const std::uint64_t bits = 8 * size_;
  unsigned char end[72] = {0x80};
  const std::size_t held = size_ % 64, zeros = held < 56 ? 56 - held : 120 - held;
  for (int k = 0; k < 8; ++k) end[zeros + k] = static_cast<unsigned char>(bits >> (56 - 8 * k));
  update(end, zeros + 8);
  std::array<unsigned char, 32> digest;
  for (int k = 0; k < 32; ++k) digest[k] = static_cast<unsigned char>(state_[k / 4] >> (24 - 8 * (k % 4)));
  return digest;
}

}  // namespace agon
