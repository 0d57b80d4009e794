#include <cstdio>

int main() {
  std::puts("agon " AGON_VERSION);
  return 0;
}
