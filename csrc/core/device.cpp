#include "core/device.h"

#include "core/error.h"

namespace pynn {
namespace {
constexpr std::string_view kNames[] = {"cpu", "cuda", "meta"};  // in the order of DeviceType
}

std::string Device::str() const {
  std::string text(kNames[static_cast<int>(type)]);
  if (index >= 0) text += ':' + std::to_string(index);
  return text;
}

Device parse_device(std::string_view text) {
  PYNN_CHECK(!text.empty(), "device: a name such as 'cpu' or 'cuda:0' is required, got an empty string");
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  Device device;
  int type = 0;
  while (type < 3 && kNames[type] != name) ++type;
  PYNN_CHECK(type < 3, "device: one of cpu, cuda, meta is required at the start of the device string, got '", text,
             "'");
  device.type = static_cast<DeviceType>(type);
  if (colon == std::string_view::npos) return device;

  const std::string_view digits = text.substr(colon + 1);
  int index = 0;
  bool valid = !digits.empty() && (digits.size() == 1 || digits[0] != '0');
  for (const char c : digits) {
    valid = valid && c >= '0' && c <= '9' && index <= INT8_MAX;
    if (valid) index = index * 10 + (c - '0');
  }
  PYNN_CHECK(valid && index <= INT8_MAX, "device: an index from 0 to ", INT8_MAX,
             " without leading zeros is required after the colon, got '", text, "'");
  device.index = static_cast<int8_t>(index);
  return device;
}

void check_available(Device device) {
  PYNN_CHECK(!device.is_cuda(), "device: this build of pynn has no CUDA, got '", device.str(),
             "' (build it with PYNN_CUDA=ON)");
}

}  // namespace pynn
