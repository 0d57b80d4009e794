// Runs the kept inputs through a fuzz target, without libFuzzer: each file as it is, cut at every length
// up to 256, and with each of its first 256 bytes flipped. A crash or a sanitizer's report is the failure.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void feed(const std::string& bytes) {
  // A heap copy of the exact size, so that the address sanitizer sees a read past the end.
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "%s: no inputs to replay\n", argv[1]);
    return 1;
  }
  std::size_t runs = 0;
  feed("");
  for (const auto& path : files) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    feed(bytes);
    const std::size_t window = std::min<std::size_t>(bytes.size(), 256);
    for (std::size_t i = 0; i < window; ++i) {
      feed(bytes.substr(0, i));
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
      feed(bytes);
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    }
    runs += 1 + 2 * window;
  }
  std::printf("%zu files, %zu inputs\n", files.size(), runs);
  return 0;
}
