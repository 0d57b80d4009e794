// AGON_CHECK: stops the program on a bug, with the place and the values that broke the promise.
#pragma once

#include <cstdio>
#include <cstdlib>

/// For what can only be false through a mistake in this code, never through input.
#define AGON_CHECK(condition)                                                                         \
  do {                                                                                                \
    if (!(condition)) [[unlikely]] {                                                                  \
      std::fprintf(stderr, "agon: bug at %s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                   \
    }                                                                                                 \
  } while (0)
