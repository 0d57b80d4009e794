#include "agon/llm/gguf/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "agon/llm/gguf/format.h"

namespace agon::gguf {

std::string printable(std::string_view name) {
  constexpr std::size_t kShown = 80;
  std::string out;
  for (const char c : name.substr(0, kShown)) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (name.size() > kShown) out += "...";
  return out;
}

namespace {

// Formats that other programs write and this engine does not read, to name them in the refusal.
std::string_view foreign_type(std::uint32_t type) {
  switch (type) {
    case 4:
      return "Q4_2, dropped from the format";
    case 5:
      return "Q4_3, dropped from the format";
    case 9:
      return "Q8_1";
    case 15:
      return "Q8_K";
    case 16:
      return "IQ2_XXS";
    case 17:
      return "IQ2_XS";
    case 18:
      return "IQ3_XXS";
    case 19:
      return "IQ1_S";
    case 21:
      return "IQ3_S";
    case 22:
      return "IQ2_S";
    case 24:
      return "I8";
    case 25:
      return "I16";
    case 26:
      return "I32";
    case 27:
      return "I64";
    case 28:
      return "F64";
    case 29:
      return "IQ1_M";
    case 31:
      return "Q4_0_4_4, dropped from the format";
    case 32:
      return "Q4_0_4_8, dropped from the format";
    case 33:
      return "Q4_0_8_8, dropped from the format";
    case 34:
      return "TQ1_0";
    case 35:
      return "TQ2_0";
    case 39:
      return "MXFP4";
    default:
      return "";
  }
}

std::uint64_t value_bytes(ValueType type) {  // of numbers; the least that a string takes
  switch (type) {
    case ValueType::kUint8:
    case ValueType::kInt8:
    case ValueType::kBool:
      return 1;
    case ValueType::kUint16:
    case ValueType::kInt16:
      return 2;
    case ValueType::kUint32:
    case ValueType::kInt32:
    case ValueType::kFloat32:
      return 4;
    case ValueType::kString:
    case ValueType::kUint64:
    case ValueType::kInt64:
    case ValueType::kFloat64:
      return 8;
    case ValueType::kArray:
      break;
  }
  return 0;
}

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  Result<Contents> run() {
    AGON_TRY(read_counts());
    for (std::uint64_t i = 0; i < keys_; ++i) AGON_TRY(read_key(i));
    AGON_TRY(read_alignment());
    out_.tensors.reserve(tensors_);
    offsets_.reserve(tensors_);
    for (std::uint64_t i = 0; i < tensors_; ++i) AGON_TRY(read_tensor(i));
    AGON_TRY(place_tensors());
    return std::move(out_);
  }

 private:
  std::unexpected<Error> error_at(std::uint64_t byte, std::string message, std::string expected = {}) const {
    Error error;
    error.message = std::move(message);
    error.file = name_;
    error.byte = byte;
    error.has_byte = true;
    error.expected = std::move(expected);
    return std::unexpected(std::move(error));
  }
  std::unexpected<Error> cut(const std::string& what) const {
    return error_at(at_, fmt::format("the file ends inside {}", what));
  }
  [[nodiscard]] std::uint64_t left() const { return bytes_.size() - at_; }

  // The caller has checked that the bytes are there.
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  template <class T>
  Result<T> get(const std::string& what) {
    if (left() < sizeof(T)) return cut(what);
    return take<T>();
  }

  Result<std::string> get_string(const std::string& what, std::uint64_t limit) {
    const std::uint64_t start = at_;
    AGON_ASSIGN(const auto size, get<std::uint64_t>(what));
    if (size > left())
      return error_at(start, fmt::format("{} is said to have {} bytes, and {} are left", what, size, left()));
    if (size > limit)
      return error_at(start, fmt::format("{} has {} bytes", what, size), fmt::format("at most {}", limit));
    if (metadata_bytes_ += size; metadata_bytes_ > kMaxMetadataBytes)
      return error_at(start, "the metadata has too much text", fmt::format("at most {}", kMaxMetadataBytes));
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, size);
    at_ += size;
    return text;
  }

  Status read_counts() {
    if (bytes_.size() < 4 || take<std::uint32_t>() != kMagic) {
      at_ = 0;
      return error_at(0, fmt::format("is no GGUF model file{}", guess()), "the letters GGUF at its start");
    }
    AGON_ASSIGN(const auto version, get<std::uint32_t>("the version"));
    if (version == 1)
      return error_at(4, "is a GGUF file of version 1, which only files of 2023 have",
                      "version 2 or 3; convert the model again");
    if (version != 0 && (version & 0xffffu) == 0)
      return error_at(4, "is a big-endian GGUF file", "little-endian; convert the model again");
    if (version != 2 && version != 3)
      return error_at(4, fmt::format("is a GGUF file of version {}", version), "version 2 or 3");
    out_.version = static_cast<int>(version);
    AGON_ASSIGN(tensors_, get<std::uint64_t>("the number of tensors"));
    AGON_ASSIGN(keys_, get<std::uint64_t>("the number of metadata keys"));
    // The least that a key takes (length, a letter, type, a byte) and a tensor (the same, with sizes).
    AGON_TRY(check_count("metadata keys", 16, keys_, kMaxKeys, 8 + 1 + 4 + 1));
    return check_count("tensors", 8, tensors_, kMaxTensors, 8 + 1 + 4 + 8 + 4 + 8);
  }
  Status check_count(const char* what, std::uint64_t byte, std::uint64_t count, std::uint64_t limit,
                     std::uint64_t each) const {
    if (count > left() / each)
      return error_at(byte,
                      fmt::format("{} {} cannot fit into the {} bytes that follow", count, what, left()));
    if (count > limit)
      return error_at(byte, fmt::format("the file has {} {}", count, what), fmt::format("at most {}", limit));
    return {};
  }
  [[nodiscard]] std::string guess() const {
    const std::string_view start(reinterpret_cast<const char*>(bytes_.data()),
                                 std::min<std::size_t>(bytes_.size(), 8));
    if (start.starts_with("\x1f\x8b") || start.starts_with("\x28\xb5\x2f\xfd"))
      return " but a compressed one; unpack it first";
    if (start.starts_with("PK")) return " but a ZIP archive, as PyTorch writes; convert it to GGUF first";
    if (start.starts_with("tjgg") || start.starts_with("lmgg"))
      return " but one of the older GGML format; convert the original model to GGUF";
    if (start.starts_with("version ")) return " but a Git LFS pointer; fetch the file itself";
    return "";
  }

  Status read_key(std::uint64_t number) {
    const std::uint64_t start = at_;
    AGON_ASSIGN(std::string key,
                get_string(fmt::format("the name of metadata key {}", number + 1), kMaxKeyBytes));
    if (key.empty()) return error_at(start, fmt::format("metadata key {} has an empty name", number + 1));
    if (!seen_keys_.insert(key).second)
      return error_at(start, fmt::format("metadata key '{}' comes twice", printable(key)));
    const std::string what = fmt::format("metadata key '{}'", printable(key));
    AGON_ASSIGN(const auto type, get<std::uint32_t>(what));
    if (key == "general.alignment" && type != static_cast<std::uint32_t>(ValueType::kUint32))
      return error_at(start, fmt::format("{} has value type {}", what, type),
                      "4, an unsigned 32-bit integer");
    AGON_ASSIGN(Value value, read_value(what, type));
    out_.metadata.set(std::move(key), std::move(value));
    return {};
  }

  Result<Value> read_value(const std::string& what, std::uint32_t type) {
    switch (static_cast<ValueType>(type)) {
      case ValueType::kString: {
        AGON_ASSIGN(std::string text, get_string(what, kMaxStringBytes));
        return Value(std::move(text));
      }
      case ValueType::kArray:
        return read_array(what);
      case ValueType::kBool: {
        AGON_ASSIGN(const std::int64_t value, read_integer(what, ValueType::kBool));
        return Value(value != 0);
      }
      case ValueType::kFloat32: {
        AGON_ASSIGN(const auto value, get<float>(what));
        return Value(static_cast<double>(value));
      }
      case ValueType::kFloat64: {
        AGON_ASSIGN(const auto value, get<double>(what));
        return Value(value);
      }
      default:
        break;
    }
    if (type > static_cast<std::uint32_t>(ValueType::kFloat64))
      return error_at(at_ - 4, fmt::format("{} has value type {}", what, type), "0 to 12");
    AGON_ASSIGN(const std::int64_t value, read_integer(what, static_cast<ValueType>(type)));
    return Value(value);
  }

  Result<std::int64_t> read_integer(const std::string& what, ValueType type) {
    if (left() < value_bytes(type)) return cut(what);
    switch (type) {
      case ValueType::kUint8:
        return take<std::uint8_t>();
      case ValueType::kInt8:
        return take<std::int8_t>();
      case ValueType::kUint16:
        return take<std::uint16_t>();
      case ValueType::kInt16:
        return take<std::int16_t>();
      case ValueType::kUint32:
        return take<std::uint32_t>();
      case ValueType::kInt32:
        return take<std::int32_t>();
      case ValueType::kInt64:
        return take<std::int64_t>();
      case ValueType::kBool: {
        const auto value = take<std::uint8_t>();
        if (value > 1) return error_at(at_ - 1, fmt::format("{} holds {}", what, value), "a boolean, 0 or 1");
        return value;
      }
      default:
        break;
    }
    const auto value = take<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(INT64_MAX))
      return error_at(at_ - 8, fmt::format("{} holds {}", what, value), "at most 2^63-1");
    return static_cast<std::int64_t>(value);
  }

  Result<Value> read_array(const std::string& what) {
    const std::uint64_t start = at_;
    AGON_ASSIGN(const auto number, get<std::uint32_t>(what));
    const auto type = static_cast<ValueType>(number);
    if (type == ValueType::kArray) return error_at(start, fmt::format("{} is an array of arrays", what));
    if (value_bytes(type) == 0)
      return error_at(start, fmt::format("{} is an array of value type {}", what, number), "0 to 12");
    AGON_ASSIGN(const auto count, get<std::uint64_t>(what));
    if (count > left() / value_bytes(type))
      return error_at(start + 4,
                      fmt::format("{} is said to have {} elements, which cannot fit into the {} bytes "
                                  "that follow",
                                  what, count, left()));
    if (count > kMaxArray)
      return error_at(start + 4, fmt::format("{} has {} elements", what, count),
                      fmt::format("at most {}", kMaxArray));
    // What the elements take in memory: more than in the file, where the least of a string are 8 bytes.
    if (metadata_bytes_ += count * (type == ValueType::kString ? sizeof(std::string) : 8);
        metadata_bytes_ > kMaxMetadataBytes)
      return error_at(start + 4, "the metadata is too large",
                      fmt::format("at most {} bytes", kMaxMetadataBytes));
    if (type == ValueType::kString) {
      Strings strings;
      strings.reserve(count);
      for (std::uint64_t i = 0; i < count; ++i) {
        AGON_ASSIGN(std::string text, get_string(what, kMaxStringBytes));
        strings.push_back(std::move(text));
      }
      return Value(std::move(strings));
    }
    if (type == ValueType::kFloat32 || type == ValueType::kFloat64) {
      Reals reals(count);
      for (double& real : reals)
        real = type == ValueType::kFloat32 ? static_cast<double>(take<float>()) : take<double>();
      return Value(std::move(reals));
    }
    Integers integers(count);
    for (std::int64_t& integer : integers) {
      AGON_ASSIGN(integer, read_integer(what, type));
    }
    return Value(std::move(integers));
  }

  Status read_alignment() {
    AGON_ASSIGN(const std::int64_t value,
                out_.metadata.integer_or("general.alignment", std::int64_t{kDefaultAlignment}));
    alignment_ = static_cast<std::uint64_t>(value);
    if (!std::has_single_bit(alignment_) || alignment_ < kMinAlignment || alignment_ > kMaxAlignment)
      return error_at(at_, fmt::format("general.alignment is {}", value),
                      fmt::format("a power of two from {} to {}", kMinAlignment, kMaxAlignment));
    return {};
  }

  Status read_tensor(std::uint64_t number) {
    const std::uint64_t start = at_;
    Tensor tensor;
    AGON_ASSIGN(tensor.name, get_string(fmt::format("the name of tensor {}", number + 1), kMaxNameBytes));
    if (tensor.name.empty()) return error_at(start, fmt::format("tensor {} has an empty name", number + 1));
    const std::string what = fmt::format("tensor '{}'", printable(tensor.name));
    if (!seen_tensors_.insert(tensor.name).second)
      return error_at(start, fmt::format("{} comes twice", what));

    AGON_ASSIGN(const auto dimensions, get<std::uint32_t>(what));
    if (dimensions < 1 || dimensions > 4)
      return error_at(at_ - 4, fmt::format("{} has {} dimensions", what, dimensions), "1 to 4");
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      AGON_ASSIGN(const auto size, get<std::uint64_t>(what));
      if (size == 0) return error_at(at_ - 8, fmt::format("dimension {} of {} is zero", i + 1, what));
      // Division, as the product itself may be beyond 64 bits.
      if (size > kMaxElements / elements)
        return error_at(at_ - 8, fmt::format("{} has more than 2^48 elements", what));
      elements *= size;
      tensor.shape.push_back(size);
    }

    AGON_ASSIGN(const auto type, get<std::uint32_t>(what));
    tensor.type = static_cast<TensorType>(type);
    const TypeTraits traits = type_traits(tensor.type);
    if (traits.name.empty()) {
      const std::string_view name = foreign_type(type);
      return error_at(
          at_ - 4,
          fmt::format("{} has format {}{}", what, type, name.empty() ? "" : fmt::format(" ({})", name)),
          "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL or IQ4_XS");
    }
    if (tensor.columns() % traits.elements != 0)
      return error_at(start, fmt::format("{} has rows of {} weights", what, tensor.columns()),
                      fmt::format("a multiple of {} for format {}", traits.elements, traits.name));
    AGON_ASSIGN(const auto offset, get<std::uint64_t>(what));
    if (offset % alignment_ != 0)
      return error_at(at_ - 8, fmt::format("{} lies at offset {}", what, offset),
                      fmt::format("a multiple of {}", alignment_));
    out_.tensors.push_back(std::move(tensor));
    offsets_.push_back({offset, elements / traits.elements * traits.bytes, number});
    return {};
  }

  // Gives every tensor its bytes, all of them inside the file and no two sharing any.
  Status place_tensors() {
    if (tensors_ == 0) return {};
    const std::uint64_t data = (at_ + alignment_ - 1) / alignment_ * alignment_;
    const std::uint64_t available = data < bytes_.size() ? bytes_.size() - data : 0;
    for (const Extent& extent : offsets_) {
      Tensor& tensor = out_.tensors[extent.tensor];
      if (extent.offset > available || extent.size > available - extent.offset) {
        return error_at(
            bytes_.size(),
            fmt::format("tensor '{}' needs {} bytes at offset {} of the data, which has {}; is the "
                        "file whole?",
                        printable(tensor.name), extent.size, extent.offset, available));
      }
      tensor.bytes = bytes_.subspan(data + extent.offset, extent.size);
    }
    std::ranges::sort(offsets_, {}, [](const Extent& e) { return std::pair(e.offset, e.tensor); });
    for (std::size_t i = 1; i < offsets_.size(); ++i) {
      const Extent &before = offsets_[i - 1], &after = offsets_[i];
      if (before.offset + before.size > after.offset)
        return error_at(data + after.offset, fmt::format("tensors '{}' and '{}' overlap",
                                                         printable(out_.tensors[before.tensor].name),
                                                         printable(out_.tensors[after.tensor].name)));
    }
    return {};
  }

  struct Extent {
    std::uint64_t offset, size, tensor;
  };

  std::span<const std::byte> bytes_;
  const std::string& name_;
  std::uint64_t at_ = 0;
  std::uint64_t tensors_ = 0, keys_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  std::uint64_t metadata_bytes_ = 0;
  std::unordered_set<std::string> seen_keys_, seen_tensors_;
  std::vector<Extent> offsets_;
  Contents out_;
};

}  // namespace

Result<Contents> parse_contents(std::span<const std::byte> bytes, const std::string& name) {
  return Parser(bytes, name).run();
}

}  // namespace agon::gguf
