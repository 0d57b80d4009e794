// The models that a server has open, by the names that clients may use.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/service.h"

namespace agon::serving {

struct ServedModel {
  std::string id;
  std::unique_ptr<llm::Engine> engine;
  std::unique_ptr<llm::Service> service;
  std::int64_t created = 0;  ///< Seconds since 1970 when it was opened.
};

class Models {
 public:
  /// Takes a model in. An Error when the name is taken.
  Status add(std::string id, std::unique_ptr<llm::Engine> engine, const llm::ServiceOptions& options);
  /// Another name for a model.
  Status add_alias(const std::string& alias, const std::string& id);

  /// By id or alias; null when there is none.
  [[nodiscard]] const ServedModel* find(std::string_view name) const;
  /// In the order in which they were added.
  [[nodiscard]] const std::vector<std::unique_ptr<ServedModel>>& all() const { return models_; }
  /// Alias to id.
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& aliases() const { return aliases_; }

  /// No service takes anything new.
  void drain() const;

 private:
  std::vector<std::unique_ptr<ServedModel>> models_;
  std::map<std::string, std::string, std::less<>> aliases_;
};

}  // namespace agon::serving
