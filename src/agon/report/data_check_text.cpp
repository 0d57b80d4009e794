#include "agon/report/data_check_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/report/number.h"
#include "agon/report/table.h"
#include "agon/report/visible.h"

namespace agon {
namespace {

std::string grouped(std::uint64_t n) { return format_count(n); }

std::string percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "" : format_percent(static_cast<double>(part) / static_cast<double>(whole));
}

/// On one line, fit for a terminal.
std::string shown(std::string_view text) { return visible_text(text, {.keep_lines = false}); }

std::string plural(std::uint64_t n, const char* one, const char* many) {
  return grouped(n) + " " + (n == 1 ? one : many);
}

class Writer {
 public:
  explicit Writer(const DataCheckTextOptions& options) : options_(options) {}

  void heading(const std::string& text) {
    out_ += '\n' + (options_.colour ? "\x1b[1m" + text + "\x1b[0m" : text) + '\n';
  }
  void line(const std::string& text) { out_ += "  " + text + '\n'; }
  void table(const Table& table) {
    out_ += table.terminal({.width = options_.width, .indent = 2, .colour = options_.colour});
  }
  /// Words of `text` in lines of the terminal's width; `first` stands in the indent of the first line.
  void wrapped(std::string_view text, std::size_t indent, std::string_view first = {}) {
    const auto width = static_cast<int>(std::max(40, options_.width));
    std::string line(indent, ' ');
    line.replace(first.empty() ? 0 : 2, first.size(), first);
    bool empty = true;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(' ', begin), text.size());
      const std::string_view word = text.substr(begin, end - begin);
      if (!empty && display_width(line) + 1 + display_width(word) > width) {
        out_ += line + '\n';
        line.assign(indent, ' ');
        empty = true;
      }
      if (!empty) line += ' ';
      line += word;
      empty = false;
      begin = end + 1;
    }
    out_ += line + '\n';
  }
  /// A finding's headline, with a sign in the margin.
  void item(std::string_view sign, const std::string& text, bool look) {
    const bool paint = options_.colour && look;
    if (paint) out_ += "\x1b[33m";
    wrapped(shown(text), 4, sign);
    if (paint) out_.insert(out_.size() - 1, "\x1b[0m");
  }
  [[nodiscard]] const DataCheckTextOptions& options() const { return options_; }
  std::string take() { return std::move(out_); }

 private:
  DataCheckTextOptions options_;
  std::string out_;
};

void write_files(const DataReport& report, Writer& out) {
  Table table({{"file", Align::kLeft},
               {"votes", Align::kRight},
               {"skipped", Align::kRight},
               {"bytes", Align::kRight},
               {"SHA-256", Align::kLeft}});
  for (const VoteSource& source : report.sources)
    table.add_row({source.path, grouped(source.counts.rows), grouped(source.counts.skipped),
                   grouped(source.bytes), source.sha256.substr(0, 16)});
  out.table(table);
  for (const VoteSource& source : report.sources) {
    constexpr std::size_t kReasons = 10;
    const auto& reasons = source.counts.skip_list;
    for (std::size_t i = 0; i < std::min(reasons.size(), kReasons); ++i)
      out.line("skipped " + shown(reasons[i].to_string()));
    if (source.counts.skipped > kReasons)
      out.line(fmt::format("... and {} more in {}", grouped(source.counts.skipped - kReasons),
                           shown(source.path)));
  }
}

void write_classes(const DataReport& report, Writer& out) {
  const ClassShares& classes = report.classes;
  const std::uint64_t labelled = classes.a + classes.b + classes.tie;
  out.heading("Outcomes");
  Table table({{"outcome", Align::kLeft}, {"votes", Align::kRight}, {"share", Align::kRight}});
  table.add_row({"A is better", grouped(classes.a), percent(classes.a, labelled)});
  table.add_row({"B is better", grouped(classes.b), percent(classes.b, labelled)});
  table.add_row({"tie", grouped(classes.tie), percent(classes.tie, labelled)});
  if (classes.both_bad > 0)
    table.add_row({"  of these both bad", grouped(classes.both_bad), percent(classes.both_bad, labelled)});
  if (classes.unlabelled > 0) table.add_row({"no label", grouped(classes.unlabelled), ""});
  out.table(table);
  if (labelled > 0)
    out.line(fmt::format("Always saying these shares scores a log loss of {:.4f}.", classes.prior_log_loss));
  if (classes.longer_wins_of > 0)
    out.line(fmt::format("The longer answer wins {:.1f} % of the {} decided votes.",
                         100 * classes.longer_wins, grouped(classes.longer_wins_of)));
}

void write_texts(const DataReport& report, Writer& out) {
  out.heading("Texts");
  Table lengths({{"length", Align::kLeft},
                 {"least", Align::kRight},
                 {"10 %", Align::kRight},
                 {"median", Align::kRight},
                 {"90 %", Align::kRight},
                 {"most", Align::kRight},
                 {"mean", Align::kRight}});
  for (const LengthSummary& s : report.lengths)
    lengths.add_row({s.name, grouped(s.least), grouped(s.p10), grouped(s.median), grouped(s.p90),
                     grouped(s.most), grouped(static_cast<std::uint64_t>(std::llround(s.mean)))});
  out.table(lengths);
  const auto list = [&](const std::vector<NamedCount>& items, std::size_t most) {
    std::string text;
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i >= most) {
        rest += items[i].count;
        continue;
      }
      text += fmt::format("{}{}: {} ({})", text.empty() ? "" : ", ", items[i].name, grouped(items[i].count),
                          percent(items[i].count, report.rows));
    }
    if (rest > 0) text += fmt::format(", {} others: {}", items.size() - most, grouped(rest));
    return text;
  };
  out.wrapped("Turns  " + list(report.turns, 20) + ".", 2);
  out.wrapped("Languages  " + list(report.languages, out.options().languages) +
                  ". A light guess; und is undetermined.",
              2);
  out.line(fmt::format("Code: in {} ({}).", plural(report.rows_with_code, "row", "rows"),
                       percent(report.rows_with_code, report.rows)));
  if (!report.extra_columns.empty()) {
    std::string names;
    for (const std::string& name : report.extra_columns) names += (names.empty() ? "" : ", ") + shown(name);
    out.wrapped("Extra columns: " + names + ".", 2);
  }
}

void write_models(const DataReport& report, Writer& out) {
  const ModelGraph& models = report.models;
  const std::size_t n = models.votes_per_model.size();
  out.heading("Models");
  if (n == 0) {
    out.line("The file names no models.");
    return;
  }
  const std::uint64_t possible = static_cast<std::uint64_t>(n) * (n - 1) / 2;
  out.line(fmt::format(
      "{}, {} of {} compared, {}.", plural(n, "model", "models"), plural(models.pairs, "pair", "pairs"),
      grouped(possible),
      models.components.size() == 1
          ? "all connected"
          : fmt::format("in {} parts without a comparison between them", models.components.size())));
  Table table({{"model", Align::kLeft, 40}, {"votes", Align::kRight}});
  const std::size_t most = out.options().models;
  for (std::size_t i = 0; i < n; ++i) {
    if (i >= most && i + most < n) {
      if (i == most) table.add_row({fmt::format("... {} more", grouped(n - 2 * most)), ""});
      continue;
    }
    table.add_row({models.votes_per_model[i].name, grouped(models.votes_per_model[i].count)});
  }
  out.table(table);
}

void write_prompts(const DataReport& report, Writer& out) {
  out.heading("Prompts");
  out.line(fmt::format("{} different, {} when near-duplicates count as one.",
                       grouped(report.prompts.different), grouped(report.prompts.groups)));
  if (report.prompts.most_repeated.empty()) return;
  Table table({{"most repeated", Align::kLeft, 66}, {"rows", Align::kRight}});
  for (const NamedCount& prompt : report.prompts.most_repeated)
    table.add_row({prompt.name, grouped(prompt.count)});
  out.table(table);
}

void write_leaks(const DataReport& report, Writer& out) {
  if (!report.leaks) return;
  const LeakFacts& leaks = *report.leaks;
  out.heading("Shared with " + shown(leaks.file));
  Table table({{fmt::format("of its {} rows", grouped(leaks.rows)), Align::kLeft},
               {"rows", Align::kRight},
               {"share", Align::kRight}});
  table.add_row(
      {"prompt is in this file", grouped(leaks.same_prompt), percent(leaks.same_prompt, leaks.rows)});
  table.add_row(
      {"prompt is nearly in this file", grouped(leaks.near_prompt), percent(leaks.near_prompt, leaks.rows)});
  table.add_row({"prompt and both answers are", grouped(leaks.same_comparison),
                 percent(leaks.same_comparison, leaks.rows)});
  table.add_row({"id is in this file", grouped(leaks.same_id), percent(leaks.same_id, leaks.rows)});
  out.table(table);
}

void write_findings(const DataReport& report, Finding::Level level, const std::string& heading, Writer& out) {
  const bool look = level == Finding::Level::kLook;
  bool any = false;
  for (const Finding& finding : report.findings) {
    if (finding.level != level) continue;
    if (!any) out.heading(heading);
    any = true;
    out.item(look ? "!" : "-", finding.message + ".", look);
    out.wrapped("Advice: " + finding.advice + ".", 4);
    if (finding.examples.empty()) continue;
    std::string rows;
    for (const RowRef& row : finding.examples) {
      rows += rows.empty() ? "Rows: " : ", ";
      if (report.sources.size() > 1) rows += shown(row.file) + " ";
      rows += grouped(row.row);
      if (row.id != std::to_string(row.row)) rows += " (id " + clip_to_width(shown(row.id), 40) + ")";
    }
    out.wrapped(rows + (finding.count > finding.examples.size() ? ", ..." : "."), 4);
  }
}

}  // namespace

std::string data_check_text(const DataReport& report, const DataCheckTextOptions& options) {
  Writer out(options);
  write_files(report, out);
  if (report.rows == 0) {
    out.line("There are no votes in it.");
    return out.take();
  }
  write_classes(report, out);
  write_texts(report, out);
  write_models(report, out);
  write_prompts(report, out);
  write_leaks(report, out);
  write_findings(report, Finding::Level::kLook, "Things to look at", out);
  write_findings(report, Finding::Level::kNote, "Good to know", out);
  const auto look = static_cast<std::uint64_t>(
      std::count_if(report.findings.begin(), report.findings.end(),
                    [](const Finding& f) { return f.level == Finding::Level::kLook; }));
  out.heading(look == 0 ? "Nothing here needs a look." : plural(look, "thing", "things") + " to look at.");
  return out.take();
}

}  // namespace agon
