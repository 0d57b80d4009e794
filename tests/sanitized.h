// Whether a sanitizer watches this build, which makes everything slower and signals different.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AGON_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AGON_SANITIZED 1
#endif
#endif
#ifndef AGON_SANITIZED
#define AGON_SANITIZED 0
#endif
