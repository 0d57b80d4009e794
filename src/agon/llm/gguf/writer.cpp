#include "agon/llm/gguf/writer.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "agon/base/bytes.h"
#include "agon/base/check.h"
#include "agon/base/file.h"
#include "agon/llm/gguf/format.h"
#include "agon/llm/gguf/quantize.h"

namespace agon::gguf {
namespace {

std::uint64_t padded(std::uint64_t size) {
  return (size + kDefaultAlignment - 1) / kDefaultAlignment * kDefaultAlignment;
}

template <class T>
bool fits(std::int64_t value) {
  return value >= std::int64_t{std::numeric_limits<T>::min()} &&
         value <= std::int64_t{std::numeric_limits<T>::max()};
}

void put_type(ByteWriter& out, ValueType type) { out.put(static_cast<std::uint32_t>(type)); }

void put_array(ByteWriter& out, ValueType type, std::size_t count) {
  put_type(out, ValueType::kArray);
  put_type(out, type);
  out.put(std::uint64_t{count});
}

struct PutValue {
  ByteWriter& out;

  void operator()(bool value) const {
    put_type(out, ValueType::kBool);
    out.put(static_cast<std::uint8_t>(value));
  }
  void operator()(std::int64_t value) const {
    if (fits<std::uint32_t>(value)) {
      put_type(out, ValueType::kUint32);
      out.put(static_cast<std::uint32_t>(value));
    } else {
      put_type(out, ValueType::kInt64);
      out.put(value);
    }
  }
  void operator()(double value) const {
    put_type(out, ValueType::kFloat32);
    out.put(static_cast<float>(value));
  }
  void operator()(const std::string& value) const {
    put_type(out, ValueType::kString);
    out.put(std::string_view(value));
  }
  void operator()(const Integers& values) const {
    const bool small = std::ranges::all_of(values, fits<std::int32_t>);
    put_array(out, small ? ValueType::kInt32 : ValueType::kInt64, values.size());
    for (const std::int64_t value : values) {
      if (small) {
        out.put(static_cast<std::int32_t>(value));
      } else {
        out.put(value);
      }
    }
  }
  void operator()(const Reals& values) const {
    put_array(out, ValueType::kFloat32, values.size());
    for (const double value : values) out.put(static_cast<float>(value));
  }
  void operator()(const Strings& values) const {
    put_array(out, ValueType::kString, values.size());
    for (const std::string& value : values) out.put(std::string_view(value));
  }
};

}  // namespace

void Writer::add(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                 std::function<std::vector<std::byte>()> make) {
  const TypeTraits traits = type_traits(type);
  AGON_CHECK(!name.empty() && name.size() <= kMaxNameBytes);
  AGON_CHECK(std::ranges::find(items_, name, &Item::name) == items_.end());
  AGON_CHECK(!shape.empty() && shape.size() <= 4 && traits.elements != 0 && shape[0] % traits.elements == 0);
  std::uint64_t elements = 1;
  for (const std::uint64_t size : shape) {
    AGON_CHECK(size > 0 && size <= kMaxElements / elements);
    elements *= size;
  }
  items_.push_back(
      {std::move(name), type, std::move(shape), elements / traits.elements * traits.bytes, std::move(make)});
}

void Writer::add(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                 std::vector<std::byte> bytes) {
  const std::size_t size = bytes.size();
  add(std::move(name), type, std::move(shape), std::function([held = std::move(bytes)] { return held; }));
  AGON_CHECK(size == items_.back().size);
}

void Writer::add(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                 std::span<const float> values) {
  add(std::move(name), type, std::move(shape), quantize(type, values));
}

std::uint64_t Writer::data_bytes() const {
  std::uint64_t sum = 0;
  for (const Item& item : items_) sum += item.size;
  return sum;
}

std::string Writer::header(int version) const {
  AGON_CHECK(version == 2 || version == 3);
  ByteWriter out;
  out.put(kMagic);
  out.put(static_cast<std::uint32_t>(version));
  out.put(std::uint64_t{items_.size()});
  out.put(std::uint64_t{metadata.entries().size() - (metadata.has("general.alignment") ? 1 : 0)});
  for (const auto& [key, value] : metadata.entries()) {
    if (key == "general.alignment") continue;
    out.put(std::string_view(key));
    std::visit(PutValue{out}, value);
  }
  std::uint64_t offset = 0;
  for (const Item& item : items_) {
    out.put(std::string_view(item.name));
    out.put(static_cast<std::uint32_t>(item.shape.size()));
    for (const std::uint64_t size : item.shape) out.put(size);
    out.put(static_cast<std::uint32_t>(item.type));
    out.put(offset);
    offset += padded(item.size);
  }
  std::string bytes = out.take();
  bytes.resize(padded(bytes.size()));
  return bytes;
}

Status Writer::put(int version, const std::function<Status(std::string_view)>& sink) const {
  AGON_TRY(sink(header(version)));
  for (const Item& item : items_) {
    const std::vector<std::byte> data = item.make();
    AGON_CHECK(data.size() == item.size);
    AGON_TRY(sink({reinterpret_cast<const char*>(data.data()), data.size()}));
    // The last one too: other readers refuse a file that ends before its padding does.
    const std::string padding(padded(item.size) - item.size, '\0');
    AGON_TRY(sink(padding));
  }
  return {};
}

std::vector<std::byte> Writer::bytes(int version) const {
  std::vector<std::byte> out;
  const Status status = put(version, [&](std::string_view piece) -> Status {
    const auto* begin = reinterpret_cast<const std::byte*>(piece.data());
    out.insert(out.end(), begin, begin + piece.size());
    return {};
  });
  AGON_CHECK(status.has_value());
  return out;
}

Status Writer::write(const std::string& path, int version) const {
  AGON_ASSIGN(const auto file, AtomicFile::create(path));
  AGON_TRY(put(version, [&](std::string_view piece) { return file->write(piece); }));
  return file->commit();
}

}  // namespace agon::gguf
