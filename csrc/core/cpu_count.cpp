// cpu_count.cpp -- how many threads to use when nobody says: min(affinity, cgroup quota, physical cores).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "core/parallel_region.h"

namespace pynn::detail {
namespace {

#if defined(__linux__)
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The CPUs that this process may run on; empty if the system does not say.
std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  for (int size = 1024; size <= 1 << 20; size *= 2) {  // the kernel refuses a mask smaller than its own
    cpu_set_t* mask = CPU_ALLOC(size);
    const size_t bytes = CPU_ALLOC_SIZE(size);
    if (mask && sched_getaffinity(0, bytes, mask) == 0) {
      for (int i = 0; i < size; ++i) {
        if (CPU_ISSET_S(i, bytes, mask)) cpus.push_back(i);
      }
    }
    CPU_FREE(mask);
    if (!cpus.empty()) break;
  }
  return cpus;
}

int physical_cores(const std::vector<int>& cpus) {
  std::set<std::string> cores;  // each by the list of its hardware threads
  for (const int cpu : cpus) {
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    std::string siblings = first_line(topology + "thread_siblings_list");
    cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

// CPUs' worth of time granted to the group `path` or one above it, by the files under `root`; infinite if no limit.
double quota_of(const std::string& root, std::string path, bool v2) {
  double quota = std::numeric_limits<double>::infinity();
  for (;;) {
    const std::string folder = root + path + "/";
    const std::string text =
        v2 ? first_line(folder + "cpu.max")
           : first_line(folder + "cpu.cfs_quota_us") + " " + first_line(folder + "cpu.cfs_period_us");
    std::istringstream fields(text);  // "max 100000", "-1 100000", "150000 100000"
    double granted, period;
    if (fields >> granted >> period && granted > 0 && period > 0) quota = std::min(quota, granted / period);
    if (path.empty()) return quota;
    path.resize(path.find_last_of('/'));
  }
}

double cgroup_quota() {
  double quota = std::numeric_limits<double>::infinity();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/path", or "0::/path" for version 2
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path.empty() || path[0] != '/') continue;
    if (path == "/") path.clear();
    if (controllers.empty()) {
      quota = std::min(quota, quota_of("/sys/fs/cgroup", path, true));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      for (const std::string& name : {std::string("cpu"), controllers}) {
        quota = std::min(quota, quota_of("/sys/fs/cgroup/" + name, path, false));
      }
    }
  }
  return quota;
}
#endif

// A positive count, or 0: absent or not one. OMP_NUM_THREADS may be a list, one count per level of nesting.
int count_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text) return 0;
  const std::string value(text);
  int n = 0;
  const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  const bool whole = error == std::errc() && (*rest == '\0' || *rest == ',');
  return whole && n > 0 ? n : 0;
}

int cores() {
  const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#if defined(__linux__)
  const std::vector<int> cpus = allowed_cpus();
  const int physical = cpus.empty() ? threads : physical_cores(cpus);
  // Rounded up: at 1.5 CPUs two threads do more than one, though they are held back at times.
  return static_cast<int>(std::max(1.0, std::min<double>(physical, std::ceil(cgroup_quota()))));
#elif defined(__APPLE__)
  int fast = 0;
  size_t size = sizeof fast;
  if (sysctlbyname("hw.perflevel0.physicalcpu", &fast, &size, nullptr, 0) == 0 && fast > 0) return fast;
  return threads;
#else
  return threads;
#endif
}

}  // namespace

int default_num_threads() {
  for (const char* variable : {"PYNN_NUM_THREADS", "OMP_NUM_THREADS"}) {
    if (const int n = count_from(variable)) return n;
  }
  return cores();
}

}  // namespace pynn::detail
