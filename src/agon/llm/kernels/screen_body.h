// How screens are made and used, on any lanes.
#pragma once

#include "agon/llm/kernels/matmul_body.h"
#include "agon/llm/kernels/screen.h"

namespace agon::llm {

template <class L>
struct Screen {
  using F = typename L::F;
  using I = typename L::I;

  template <PackedType type>
  static bool make_block(const PackedMatrix& matrix, int panel, int block, const float* dither,
                         std::uint8_t* to) {
    alignas(64) float weights[kPanelRows * kBlock];
    Matmul<L>::template decode_floats<type>(matrix, panel, block, 1, weights);
    F most = L::zero(), finite = L::zero();
    for (int k = 0; k < kBlock; ++k) {
      const F w = L::load(weights + kPanelRows * k);
      most = L::max(most, L::abs(w));
      finite = L::fma(w, L::zero(), finite);
    }
    alignas(64) float largest[kPanelRows];
    L::store(largest, most);
    bool fine = L::at_least(finite, L::zero()) == 0xFFFF;
    for (const float size : largest) fine &= size == 0 || (size >= kScreenLeast && size <= kScreenMost);
    // A hundredth more than is needed, of which rounding to bfloat16 takes a fifth at most.
    L::store_bf16(to, L::mul(most, L::set1(1.01F / 7.5F)));
    const F inverse = L::div(L::set1(1), L::max(L::bf16(to), L::set1(1e-30F)));
    const auto codes = [&](int group) {
      const auto code = [&](int k) {
        return L::round(L::fma(L::load(weights + kPanelRows * k), inverse, L::set1(7 + dither[k])));
      };
      const int k = 4 * group;
      return L::either(L::either(code(k), L::template shl<8>(code(k + 1))),
                       L::either(L::template shl<16>(code(k + 2)), L::template shl<24>(code(k + 3))));
    };
    for (int group = 0; group < 4; ++group) {
      L::store_codes(to + 2 * kPanelRows + 64 * group,
                     L::either(codes(group), L::template shl<4>(codes(group + 4))));
    }
    return fine;
  }

  static bool make(const PackedMatrix& matrix, int panel, const float* dither, std::uint8_t* to) {
    bool fine = true;
    Matmul<L>::with_type(matrix.type, [&]<PackedType type>() {
      if constexpr (type <= PackedType::kBF16) {
        fine = false;
      } else {
        for (int block = 0; fine && block < matrix.columns / kBlock; ++block, to += kScreenBlockBytes)
          fine = make_block<type>(matrix, panel, block, dither + kBlock * block, to);
      }
    });
    return fine;
  }

  static ScreenBounds run(const std::uint8_t* panel, int blocks, const ScreenedRow& row) {
    using D = Decoder<L, PackedType::kQ4_0>;
    const ActivationBlock* x = row.blocks;
    F sum = L::zero(), squares = L::zero();
    for (int b = 0; b < blocks; ++b, panel += kScreenBlockBytes, x += Activations::kTile) {
      Matmul<L>::template fetch_ahead<static_cast<int>(kScreenBlockBytes)>(panel);
      I w[8];
      D::codes(panel + 2 * kPanelRows, w);
      I products = L::set1_i(x->minus8);
      for (int g = 0; g < 8; ++g) products = L::dp(products, w[g], x->q + 4 * g);
      const F s = L::bf16(panel);
      sum = L::fma(s, L::fma(L::to_float(products), L::set1(x->d), L::set1(row.offsets[b])), sum);
      squares = L::fma(L::mul(s, s), L::set1(row.squares[b]), squares);
    }
    return {.most = L::largest(L::add(sum, L::sqrt(squares))), .estimate = L::largest(sum)};
  }
};

}  // namespace agon::llm
