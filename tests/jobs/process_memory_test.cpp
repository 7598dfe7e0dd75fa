#include "jobs/process_memory.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <memory>

namespace meshfold::jobs {
namespace {

constexpr std::size_t kBytes = 96u << 20, kPage = 4096;

void touch_and_free() {
  const std::unique_ptr<char, decltype(&std::free)> block(static_cast<char*>(std::malloc(kBytes)), &std::free);
  ASSERT_NE(block, nullptr);
  for (std::size_t i = 0; i < kBytes; i += kPage) static_cast<volatile char*>(block.get())[i] = 1;
}

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST(ProcessMemory, GivesAFreedBlockOutAgainWithoutFreshPages) {
#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
  GTEST_SKIP() << "another malloc is at work here";
#endif
  if (std::getenv("GLIBC_TUNABLES")) GTEST_SKIP() << "malloc is tuned from outside";
  keep_freed_memory();
  touch_and_free();

  const long before = page_faults();
  touch_and_free();

  EXPECT_LT(page_faults() - before, 100) << "of " << kBytes / kPage << " pages";
}

TEST(ProcessMemory, KnowsItsPeak) {
  touch_and_free();

  EXPECT_GE(peak_resident_bytes(), kBytes);
}

}  // namespace
}  // namespace meshfold::jobs
