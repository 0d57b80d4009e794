// The phrases that text features look for, in the languages that the votes are written in.
#pragma once

#include <cstddef>

#include "agon/text/phrases.h"

namespace agon {

/// Categories of phrases in answers.
enum class Tone : std::size_t {
  kRefusal,
  kAiIdentity,
  kApology,
  kHedge,
  kCaveat,
  kCourtesy,
  kOffer,
  kAffirmation,
  kFirstPerson,
  kSecondPerson,
  kSequence,
  kConclusion,
  kExample,
  kArtefact,
  kFunction,
  kContrast,
  kReason,
  kCount
};
inline constexpr std::size_t kToneCount = static_cast<std::size_t>(Tone::kCount);
[[nodiscard]] const PhraseSet& tone_phrases();

/// Categories of phrases in prompts: what is asked for.
enum class Ask : std::size_t {
  kBrief,
  kLong,
  kCode,
  kMath,
  kCreative,
  kList,
  kExplain,
  kTranslate,
  kRole,
  kOpinion,
  kUnsafe,
  kFormat,
  kRewrite,
  kFact,
  kHumor,
  kGreeting,
  kCount
};
inline constexpr std::size_t kAskCount = static_cast<std::size_t>(Ask::kCount);
[[nodiscard]] const PhraseSet& ask_phrases();

}  // namespace agon
