// JSON Lines in, JSON Lines out: texts to be scored or embedded by the thousand, in windows so that memory
// does not grow with the file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/llm/access/language_model.h"
#include "agon/text/json.h"

namespace agon::llm {

/// {"id": ..., "context": "...", "continuations": ["...", ...]}, or "messages" (a list of {"role",
/// "content"}) in place of "context": the conversation in the model's chat template.
struct ScoreItem {
  std::string id;     ///< As JSON: a string or an integer; the row's number when there is none.
  std::uint64_t row;  ///< 1-based.
  std::string context;
  std::vector<ChatMessage> messages;
  std::vector<std::string> continuations;
};

/// {"id": ..., "text": "..."}, or "messages" in place of "text": the conversation in the model's chat
/// template, with nothing behind its last message.
struct TextItem {
  std::string id;
  std::uint64_t row;
  std::string text;
  std::vector<ChatMessage> messages;
};

/// Reads items from a file of JSON Lines or one JSON list, plain, .gz or .zst. Other fields are passed over.
/// Errors name the file, the row and the field.
class ItemReader {
 public:
  static Result<std::unique_ptr<ItemReader>> open(const std::string& path);
  /// For bytes in memory; `name` stands for the file in errors.
  static Result<std::unique_ptr<ItemReader>> parse(std::string bytes, const std::string& name);
  ~ItemReader();

  /// False at the end.
  [[nodiscard]] Result<bool> next(ScoreItem& item);
  [[nodiscard]] Result<bool> next(TextItem& item);
  /// An error of the engine about a row.
  [[nodiscard]] Error at(std::uint64_t row, std::string field, Error error) const;
  /// How much of the file was read, 0 to 1; 0 for a pipe.
  [[nodiscard]] double fraction() const;

 private:
  struct State;
  explicit ItemReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Takes finished lines.
using LineSink = std::function<Status(std::string_view lines)>;

struct ItemOptions {
  bool truncate = false;                ///< Cut what is too long at its front.
  std::size_t window = 2000;            ///< Items in memory; within them shared prefixes are read once.
  std::size_t window_bytes = 1u << 25;  ///< A window ends earlier when its texts have this many.
};
struct ItemCounts {
  std::uint64_t items = 0;
  std::uint64_t continuations = 0;
  std::uint64_t tokens = 0;  ///< Scored, or embedded.
  std::uint64_t cut = 0;     ///< Texts that were cut.
};

/// One line an item, in their order:
///   {"id":..,"continuations":[{"logprob":..,"token_logprobs":[..],"tokens":[{"id":..,"piece":".."},..],
///    "is_greedy":..},..]}
/// without the tokens' ids, and with null for is_greedy, where the model does not give them. Errors of the
/// model name the file, the row and the field.
[[nodiscard]] Result<ItemCounts> score_items(LanguageModel& model, ItemReader& reader,
                                             const ItemOptions& options, const LineSink& sink,
                                             const Progress& progress = {});

/// One line an item: {"id":..,"layer":..,"tokens":n,"embedding":[..]}, or with Pooling::kNone
/// "embeddings":[[..],..], one list a token, or with Pooling::kRank
/// {"id":..,"tokens":n,"reward":..,"outputs":[..]}: the first output of the classification head, and all of
/// them where there are several. `layer` is what is written for the settings' (-1: not written), tokens are
/// written where they are known.
[[nodiscard]] Result<ItemCounts> embed_items(LanguageModel& model, ItemReader& reader, EmbedSettings settings,
                                             int layer, const ItemOptions& options, const LineSink& sink,
                                             const Progress& progress = {});

}  // namespace agon::llm
