// From a request to the engine's service and back, the same for all paths.
#include <fmt/format.h>

#include <chrono>

#include "agon/serving/api.h"

namespace agon::serving {

using Clock = std::chrono::steady_clock;

ApiResult<std::shared_ptr<llm::Ticket>> Api::submit(const ServedModel& model, const Call& call,
                                                    std::vector<llm::ServiceRequest> requests,
                                                    const std::string& field) {
  auto ticket = model.service->submit({.client = call.client, .requests = std::move(requests)});
  call.place.leave();
  if (ticket) return std::make_shared<llm::Ticket>(std::move(*ticket));
  const llm::Refusal& refusal = ticket.error();
  ApiError error;
  error.message = refusal.error.to_string();
  switch (refusal.kind) {
    case llm::Refusal::Kind::kInvalid:
      error.param = refusal.option;
      break;
    case llm::Refusal::Kind::kTooLong:
      error.param = field;
      error.code = "context_length_exceeded";
      break;
    case llm::Refusal::Kind::kQueueFull:
      error.status = 429;
      error.type = "rate_limit_error";
      error.code = "queue_full";
      error.retry_after = refusal.retry_after;
      break;
    case llm::Refusal::Kind::kDraining:
      error.status = 503;
      error.type = "server_error";
      error.message = "the server is about to stop";
      error.retry_after = 1;
      break;
  }
  return std::unexpected(std::move(error));
}

ApiResult<void> Api::follow(const ServedModel& model, llm::Ticket& ticket, std::size_t requests,
                            HttpPeer& peer, const std::function<bool(llm::Event&)>& take) {
  std::atomic<bool> gone{false};
  std::optional<ApiError> problem;
  std::vector<Clock::time_point> last(requests, Clock::time_point{});
  const auto begin = Clock::now();
  const auto note_token = [&](std::size_t request) {
    const auto now = Clock::now();
    auto& before = last[request];
    const bool first = before == Clock::time_point{};
    const std::chrono::duration<double> seconds = now - (first ? begin : before);
    if (first)
      metrics_.first_token(model.id, seconds.count());
    else
      metrics_.between_tokens(model.id, seconds.count());
    before = now;
  };
  const auto note_end = [&](const llm::Finished& end) {
    if (problem) return;
    ApiError error;
    error.type = "server_error";
    if (end.reason == llm::FinishReason::kError) {
      error.status = 500;
      error.message = end.message;
    } else if (end.reason == llm::FinishReason::kCancelled && !gone) {
      error.status = 503;
      error.message = "the server stopped before the answer was complete";
    } else {
      return;
    }
    problem = std::move(error);
  };
  const auto work = [&] {
    while (!ticket.finished()) {
      auto event = ticket.next(std::chrono::seconds(60));
      if (!event) continue;
      if (std::holds_alternative<llm::TokenEvent>(event->what)) note_token(event->request);
      if (const auto* end = std::get_if<llm::Finished>(&event->what)) note_end(*end);
      // After a complaint events are only taken out; a stream that fails has a hung-up client.
      if (!gone && !problem && !take(*event)) {
        gone = true;
        ticket.cancel();
      }
    }
  };
  peer.with_watch(
      [&] {
        gone = true;
        ticket.cancel();
      },
      work);
  if (gone) {
    metrics_.client_gone(model.id);
    problem.emplace();
    problem->status = 499;
    problem->message = "the client hung up";
  }
  if (problem) return std::unexpected(std::move(*problem));
  return {};
}

}  // namespace agon::serving
