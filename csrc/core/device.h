// device.h -- where a tensor's memory is: cpu, cuda:N, or meta (shape and dtype only, no memory).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace pynn {

enum class DeviceType : uint8_t { Cpu, Cuda, Meta };

struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = -1;  // -1: the current one

  bool is_cpu() const { return type == DeviceType::Cpu; }
  bool is_cuda() const { return type == DeviceType::Cuda; }
  bool is_meta() const { return type == DeviceType::Meta; }
  bool operator==(const Device&) const = default;
  std::string str() const;  // "cpu", "cuda:0"
};

// "cpu", "cuda", "cuda:1", "meta"; throws RuntimeError for anything else.
Device parse_device(std::string_view text);
// Throws if this build or machine has no such device.
void check_available(Device device);
// With the index filled in: "cuda" becomes the current one, cuda:N. Throws as check_available.
Device resolve(Device device);

}  // namespace pynn
