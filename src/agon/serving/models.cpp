#include "agon/serving/models.h"

#include <fmt/format.h>

#include <ctime>

namespace agon::serving {

Status Models::add(std::string id, std::unique_ptr<llm::Engine> engine, const llm::ServiceOptions& options) {
  if (find(id) != nullptr)
    return fail(fmt::format("two models are called '{}' (--alias NAME=FILE gives one another name)", id));
  auto model = std::make_unique<ServedModel>();
  model->id = std::move(id);
  model->engine = std::move(engine);
  model->created = std::time(nullptr);
  AGON_ASSIGN(model->service, llm::Service::create(*model->engine, options));
  models_.push_back(std::move(model));
  return {};
}

Status Models::add_alias(const std::string& alias, const std::string& id) {
  if (find(alias) != nullptr) return fail(fmt::format("two models are called '{}'", alias));
  aliases_.emplace(alias, id);
  return {};
}

const ServedModel* Models::find(std::string_view name) const {
  if (const auto at = aliases_.find(name); at != aliases_.end()) name = at->second;
  for (const auto& model : models_)
    if (model->id == name) return model.get();
  return nullptr;
}

void Models::drain() const {
  for (const auto& model : models_) model->service->drain();
}

}  // namespace agon::serving
