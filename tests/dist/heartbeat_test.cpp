#include "dist/heartbeat.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dist/tcp_socket.hpp"

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

bool becomes_true(const std::function<bool()>& condition, std::chrono::milliseconds within) {
  for (const auto end = Clock::now() + within; Clock::now() < end; std::this_thread::sleep_for(5ms)) {
    if (condition()) return true;
  }
  return condition();
}

/// A ring of ranks that are threads of this process: their exchange is a table behind a barrier.
class Ring {
 public:
  Ring(int size, std::chrono::milliseconds timeout, const std::vector<std::string>& hosts = {})
      : size_(size), texts_(static_cast<std::size_t>(size)), barrier_(size), beats_(static_cast<std::size_t>(size)) {
    stop_.resize(static_cast<std::size_t>(size));
    for (auto& flag : stop_) flag = std::make_unique<std::atomic<bool>>(false);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([this, rank, timeout, hosts] {
        const auto r = static_cast<std::size_t>(rank);
        HeartbeatConfig config;
        config.rank = rank;
        config.size = size_;
        config.host_name = hosts.empty() ? "here" : hosts[r];
        config.timeout = timeout;
        config.exchange = [this, r](const std::string& text) { return exchange(r, text); };
        config.stop_requested = [this, r] {
          if (frozen_ == static_cast<int>(r)) std::this_thread::sleep_for(3s);
          return stop_[r]->load();
        };
        config.on_lost = [this](const std::string& line) {
          const std::lock_guard lock(mutex_);
          lost_.push_back(line);
        };
        beats_[r] = std::make_unique<Heartbeat>(std::move(config));
      });
    }
    for (auto& thread : threads) thread.join();
  }

  Heartbeat& rank(int r) { return *beats_[static_cast<std::size_t>(r)]; }
  void leave(int r) { beats_[static_cast<std::size_t>(r)].reset(); }
  void ask_to_stop(int r) { *stop_[static_cast<std::size_t>(r)] = true; }
  /// The thread of rank r stands still for 3 s.
  void freeze(int r) { frozen_ = r; }
  std::vector<std::string> lost() {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

 private:
  std::vector<std::string> exchange(std::size_t rank, const std::string& text) {
    texts_[rank] = text;
    barrier_.arrive_and_wait();
    auto all = texts_;
    barrier_.arrive_and_wait();
    return all;
  }

  int size_;
  std::vector<std::string> texts_;
  std::barrier<> barrier_;
  std::mutex mutex_;
  std::vector<std::string> lost_;
  std::vector<std::unique_ptr<std::atomic<bool>>> stop_;
  std::atomic<int> frozen_ = -1;
  std::vector<std::unique_ptr<Heartbeat>> beats_;  // last: their threads use the rest
};

TEST(Heartbeat, OfAWholeRingMissesNobody) {
  Ring ring(4, 400ms);

  std::this_thread::sleep_for(1200ms);

  EXPECT_EQ(ring.rank(0).why_off(), "");
  EXPECT_TRUE(ring.lost().empty()) << ring.lost().front();
  EXPECT_FALSE(ring.rank(3).stop_seen());
}

TEST(Heartbeat, NamesTheRankThatStandsStillAndItsMachine) {
  Ring ring(3, 500ms, {"left", "middle", "right"});
  const auto start = Clock::now();

  ring.freeze(1);

  ASSERT_TRUE(becomes_true([&] { return !ring.lost().empty(); }, 5s));
  EXPECT_LT(Clock::now() - start, 2500ms);
  const std::string line = ring.lost().front();
  EXPECT_NE(line.find("rank 2 on right"), std::string::npos) << line;
  EXPECT_NE(line.find("no sign of life from rank 1 on middle for 0.5 s"), std::string::npos) << line;
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(ring.lost().size(), 1U) << "one line is enough";
}

TEST(Heartbeat, TakesAGoodbyeForNoLoss) {
  Ring ring(3, 300ms);

  ring.leave(1);
  std::this_thread::sleep_for(1000ms);

  EXPECT_TRUE(ring.lost().empty()) << ring.lost().front();
}

TEST(Heartbeat, CarriesARequestToStopAroundTheRingFasterThanItBeats) {
  Ring ring(6, 10s);

  ring.ask_to_stop(2);

  for (int rank = 0; rank < 6; ++rank) {
    EXPECT_TRUE(becomes_true([&] { return ring.rank(rank).stop_seen(); }, 3s)) << rank;
  }
}

TEST(Heartbeat, OfOneRankOrWithoutTimeoutIsOff) {
  HeartbeatConfig alone;
  EXPECT_EQ(Heartbeat(alone).why_off(), "");

  HeartbeatConfig off;
  off.size = 2;
  off.timeout = 0ms;
  EXPECT_EQ(Heartbeat(off).why_off(), "run.heartbeat_s = 0");
}

TEST(TcpSocket, FailsToConnectWhereNobodyListens) {
  const std::uint16_t free_port = TcpSocket::listening(TcpSocket::Reach::kThisHost).port();
  const std::vector<std::string> addresses{"127.0.0.1"};

  EXPECT_THROW(TcpSocket::connected(addresses, free_port, 500ms), std::system_error);
}

TEST(TcpSocket, PassesBytesAndTellsTheEnd) {
  const TcpSocket listener = TcpSocket::listening(TcpSocket::Reach::kThisHost);
  const std::vector<std::string> addresses{"127.0.0.1"};
  TcpSocket client = TcpSocket::connected(addresses, listener.port(), 500ms);
  TcpSocket server = listener.accept(500ms);
  ASSERT_TRUE(server.is_open());
  const std::vector<std::uint8_t> sent{1, 2, 255};
  std::vector<std::uint8_t> received;

  EXPECT_TRUE(client.send(sent));
  EXPECT_TRUE(server.readable(500ms));
  EXPECT_TRUE(server.receive(received));
  EXPECT_EQ(received, sent);
  client.close();
  EXPECT_TRUE(server.readable(500ms));
  EXPECT_FALSE(server.receive(received));
}

}  // namespace
}  // namespace meshfold::dist
