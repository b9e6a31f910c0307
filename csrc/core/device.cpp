#include "core/device.h"

#include "core/accelerator.h"
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

Accelerator* accelerator = nullptr;

void check_available(Device device) {
  if (!device.is_cuda()) return;
  PYNN_CHECK(accelerator, "device: this build of pynn has no CUDA, got '", device.str(),
             "' (build it with PYNN_CUDA=ON)");
  const int count = accelerator->device_count();
  PYNN_CHECK(count > 0, "device: no CUDA device can be used, got '", device.str(), "' (",
             accelerator->why_unavailable(), ")");
  PYNN_CHECK(device.index < count, "device: an index below the number of CUDA devices is required, got '", device.str(),
             "' of ", count);
}

Device resolve(Device device) {
  check_available(device);
  if (device.is_cpu()) return {};  // "cpu:0" too
  if (device.is_cuda() && device.index < 0) device.index = static_cast<int8_t>(accelerator->current_device());
  return device;
}

}  // namespace pynn
