#include "agon/preference/models/tree_bytes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace agon {
namespace {

constexpr std::size_t kMaxDepth = 64;  ///< of a tree; XGBoost walks some of them by recursion
constexpr double kMaxLeaf = 1e6;       ///< logits are sums of leaves: far above any that training makes
constexpr std::size_t kClasses = 3;
constexpr double kNoParent = 0x7FFFFFFF;

std::size_t width_of(char type) {
  switch (type) {
    case 'i':
    case 'U':
      return 1;
    case 'I':
      return 2;
    case 'l':
    case 'd':
      return 4;
    case 'L':
    case 'D':
      return 8;
    default:
      return 0;
  }
}

/// Reads UBJSON in order; after the first fault everything gives zeros and nothing moves.
class Reader {
 public:
  struct Field {
    std::string_view name;
    std::function<void()> read;
    bool optional = false;
  };

  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  void require(bool good) { ok_ = ok_ && good; }

  /// An object with exactly these fields, each once, in any order.
  void object(std::span<const Field> fields) {
    expect('{');
    std::vector<bool> seen(fields.size());
    while (ok_ && peek() != '}') {
      const std::string_view key = name();
      const auto found = std::ranges::find(fields, key, &Field::name);
      require(ok_ && found != fields.end());
      if (!ok_) return;
      const auto i = static_cast<std::size_t>(found - fields.begin());
      require(!seen[i]);
      seen[i] = true;
      if (ok_) found->read();
    }
    expect('}');
    for (std::size_t i = 0; i < fields.size(); ++i) require(seen[i] || fields[i].optional);
  }
  /// A list that gives its length; `item` is called for each.
  void list(const std::function<void(std::size_t)>& item) {
    expect('[');
    expect('#');
    const std::size_t n = count();
    for (std::size_t i = 0; i < n && ok_; ++i) item(i);
  }
  /// A list of numbers of any type, all finite.
  std::vector<double> numbers() {
    expect('[');
    char type = 0;
    if (ok_ && peek() == '$') {
      take();
      type = take();
    }
    expect('#');
    const std::size_t n = count();
    const std::size_t smallest = type == 0 ? 2 : width_of(type);
    require(smallest > 0 && n <= left() / std::max<std::size_t>(1, smallest));
    std::vector<double> out;
    if (!ok_) return out;
    out.reserve(n);
    for (std::size_t i = 0; i < n && ok_; ++i) out.push_back(number(type != 0 ? type : take()));
    return out;
  }
  double number() { return number(take()); }
  std::string_view text() {
    expect('S');
    return name();
  }
  void text(std::string_view wanted) { require(text() == wanted); }

 private:
  [[nodiscard]] char peek() {
    require(at_ < bytes_.size());
    return ok_ ? bytes_[at_] : '\0';
  }
  char take() {
    const char c = peek();
    at_ += ok_ ? 1 : 0;
    return c;
  }
  void expect(char c) { require(take() == c); }
  std::string_view raw(std::size_t n) {
    require(n <= left());
    if (!ok_) return {};
    at_ += n;
    return bytes_.substr(at_ - n, n);
  }
  std::string_view name() { return raw(count()); }
  std::size_t count() {
    const double n = number();
    require(n >= 0 && n <= static_cast<double>(left()));
    return ok_ ? static_cast<std::size_t>(n) : 0;
  }
  double number(char type) {
    const std::size_t width = width_of(type);
    require(width > 0);
    std::uint64_t bits = 0;  // big-endian
    for (const char c : raw(width)) bits = bits << 8 | static_cast<unsigned char>(c);
    double value = 0;
    switch (type) {
      case 'i':
        value = static_cast<std::int8_t>(bits);
        break;
      case 'U':
        value = static_cast<double>(bits);
        break;
      case 'I':
        value = static_cast<std::int16_t>(bits);
        break;
      case 'l':
        value = static_cast<std::int32_t>(bits);
        break;
      case 'L':
        value = static_cast<double>(static_cast<std::int64_t>(bits));
        break;
      case 'd':
        value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        break;
      case 'D':
        value = std::bit_cast<double>(bits);
        break;
      default:
        break;
    }
    require(std::isfinite(value));
    return ok_ ? value : 0;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

using Field = Reader::Field;

struct TreeArrays {
  std::vector<double> left, right, parents, features, conditions, types, defaults, hessians, weights, gains;
};

/// Every node but the root is the child of one node before it; depths and values are bounded.
bool good_tree(const TreeArrays& t, std::size_t columns) {
  const std::size_t n = t.left.size();
  for (const auto* array : {&t.right, &t.parents, &t.features, &t.conditions, &t.types, &t.defaults,
                            &t.hessians, &t.weights, &t.gains})
    if (array->size() != n) return false;
  if (n == 0 || (t.parents[0] != kNoParent && t.parents[0] != -1)) return false;
  std::vector<std::uint8_t> depth(n);  // 0: not reached; the root has 1
  depth[0] = 1;
  for (std::size_t i = 0; i < n; ++i) {
    const auto bounded = [](double x) { return std::fabs(x) <= kMaxLeaf; };
    if (depth[i] == 0 || t.types[i] != 0 || (t.defaults[i] != 0 && t.defaults[i] != 1) ||
        !bounded(t.weights[i]) || !(t.hessians[i] >= 0))
      return false;
    if (t.left[i] == -1) {
      if (t.right[i] != -1 || !bounded(t.conditions[i])) return false;
      continue;
    }
    if (!(t.hessians[i] > 0) || !(t.features[i] >= 0) || t.features[i] >= static_cast<double>(columns) ||
        depth[i] >= kMaxDepth)
      return false;
    for (const double child : {t.left[i], t.right[i]}) {
      if (!(child > static_cast<double>(i)) || child >= static_cast<double>(n)) return false;
      const auto c = static_cast<std::size_t>(child);
      if (depth[c] != 0 || t.parents[c] != static_cast<double>(i)) return false;
      depth[c] = static_cast<std::uint8_t>(depth[i] + 1);
    }
  }
  return true;
}

void read_tree(Reader& in, std::size_t index, std::size_t columns) {
  TreeArrays t;
  std::string_view nodes;
  const auto numbers = [&](std::vector<double>& to) { return [&in, &to] { to = in.numbers(); }; };
  const auto empty = [&] { in.require(in.numbers().empty()); };
  const std::array<Field, 4> param = {{
      {"num_deleted", [&] { in.text("0"); }},
      {"num_feature", [&] { in.text(std::to_string(columns)); }},
      {"num_nodes", [&] { nodes = in.text(); }},
      {"size_leaf_vector", [&] { in.require(in.text().size() == 1); }},
  }};
  const std::array<Field, 16> fields = {{
      {"base_weights", numbers(t.weights)},
      {"categories", empty},
      {"categories_nodes", empty},
      {"categories_segments", empty},
      {"categories_sizes", empty},
      {"default_left", numbers(t.defaults)},
      {"id", [&] { in.require(in.number() == static_cast<double>(index)); }},
      {"left_children", numbers(t.left)},
      {"loss_changes", numbers(t.gains)},
      {"parents", numbers(t.parents)},
      {"right_children", numbers(t.right)},
      {"split_conditions", numbers(t.conditions)},
      {"split_indices", numbers(t.features)},
      {"split_type", numbers(t.types)},
      {"sum_hessian", numbers(t.hessians)},
      {"tree_param", [&] { in.object(param); }},
  }};
  in.object(fields);
  in.require(nodes == std::to_string(t.left.size()));
  if (in.ok()) in.require(good_tree(t, columns));
}

void read_booster(Reader& in, std::size_t columns) {
  std::string_view said;
  std::size_t trees = 0;
  std::vector<double> classes, rounds;
  const std::array<Field, 3> param = {{
      {"num_parallel_tree", [&] { in.text("1"); }},
      {"num_trees", [&] { said = in.text(); }},
      {"size_leaf_vector", [&] { in.require(in.text().size() == 1); }, true},
  }};
  const std::array<Field, 4> model = {{
      {"gbtree_model_param", [&] { in.object(param); }},
      {"tree_info", [&] { classes = in.numbers(); }},
      {"trees",
       [&] {
         in.list([&](std::size_t i) {
           ++trees;
           read_tree(in, i, columns);
         });
       }},
      {"iteration_indptr", [&] { rounds = in.numbers(); }, true},  // XGBoost 2 and later
  }};
  const std::array<Field, 2> fields = {{
      {"model", [&] { in.object(model); }},
      {"name", [&] { in.text("gbtree"); }},
  }};
  in.object(fields);
  in.require(said == std::to_string(trees) && classes.size() == trees && trees % kClasses == 0);
  for (std::size_t i = 0; in.ok() && i < trees; ++i)
    in.require(classes[i] == static_cast<double>(i % kClasses));
  for (std::size_t i = 0; in.ok() && i < rounds.size(); ++i)
    in.require(rounds[i] == static_cast<double>(kClasses * i));
}

void require_score(Reader& in) {
  const std::string_view text = in.text();
  double value = std::numeric_limits<double>::quiet_NaN();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  in.require(error == std::errc{} && end == text.data() + text.size() && std::fabs(value) <= kMaxLeaf);
}

}  // namespace

Status check_tree_bytes(std::string_view bytes, std::size_t columns) {
  Reader in(bytes);
  const auto none = [&] { in.require(in.numbers().empty()); };
  const std::array<Field, 5> param = {{
      {"base_score", [&] { require_score(in); }},
      {"boost_from_average", [&] { in.require(in.text().size() == 1); }, true},
      {"num_class", [&] { in.text("3"); }},
      {"num_feature", [&] { in.text(std::to_string(columns)); }},
      {"num_target", [&] { in.text("1"); }},
  }};
  const std::array<Field, 1> softmax = {{{"num_class", [&] { in.text("3"); }}}};
  const std::array<Field, 2> objective = {{
      {"name", [&] { in.text("multi:softprob"); }},
      {"softmax_multiclass_param", [&] { in.object(softmax); }},
  }};
  const std::array<Field, 6> learner = {{
      {"attributes", [&] { in.object({}); }},
      {"feature_names", none},
      {"feature_types", none},
      {"gradient_booster", [&] { read_booster(in, columns); }},
      {"learner_model_param", [&] { in.object(param); }},
      {"objective", [&] { in.object(objective); }},
  }};
  const std::array<Field, 2> fields = {{
      {"learner", [&] { in.object(learner); }},
      {"version", [&] { in.require(in.numbers().size() == 3); }},
  }};
  in.object(fields);
  in.require(in.left() == 0);
  if (!in.ok()) return fail("the boosted trees of the model are damaged");
  return {};
}

}  // namespace agon
