#include "dist/heartbeat.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "dist/blocked_signals.hpp"
#include "dist/tcp_socket.hpp"

namespace meshfold::dist {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kConnectTimeout{5'000};
constexpr int kPeerLostExitCode = 6;

// A beat is one byte of these bits.
constexpr std::uint8_t kAlive = 0, kStop = 1, kGoodbye = 2;

/// Proves that a connection comes from a rank of this run.
using Token = std::array<std::uint8_t, 16>;

std::string new_token() {
  std::random_device random;
  std::string hex;
  for (int word = 0; word < 4; ++word) hex += base::format("%08x", random());
  return hex;
}

Token parse_token(const std::string& hex) {
  Token token{};
  for (std::size_t i = 0; i < token.size(); ++i) {
    token[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  return token;
}

void end_process(const std::string& line) {
  // write and _exit, not streams and exit: the main thread may hold any lock of the C library.
  const std::string text = line + "\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  _exit(kPeerLostExitCode);
}

/// Takes the one connection that shows the token; others are dropped. A closed socket if it does not come in time.
TcpSocket accept_neighbour(const TcpSocket& listener, const Token& token) {
  const auto end = Clock::now() + kConnectTimeout;
  while (Clock::now() < end) {
    TcpSocket connection = listener.accept(milliseconds(100));
    if (!connection.is_open()) continue;
    std::vector<std::uint8_t> shown;
    while (shown.size() < token.size() && Clock::now() < end && connection.readable(milliseconds(100))) {
      if (!connection.receive(shown)) break;
    }
    if (shown.size() >= token.size() && std::equal(token.begin(), token.end(), shown.begin())) return connection;
  }
  return {};
}

}  // namespace

struct Heartbeat::State {
  HeartbeatConfig config;
  std::string why_off, predecessor;  ///< "rank 2 on node7"
  TcpSocket from_predecessor, to_successor;
  std::atomic<bool> stop_seen = false, leaving = false;
  std::thread thread;

  void close_ring();
  void beat();
  /// Reads the predecessor's beats; false once it said goodbye or its process ended.
  bool listen(Clock::time_point& last_sign);
  milliseconds interval() const { return std::clamp(config.timeout / 10, milliseconds(20), milliseconds(1'000)); }
};

void Heartbeat::State::close_ring() {
  // Every rank goes through both exchanges, whatever fails in between, and comes to the same verdict.
  std::string problem;
  TcpSocket listener;
  json mine = {{"host", config.host_name}};
  try {
    const auto hosts = config.exchange(config.host_name);
    const bool one_host = std::all_of(hosts.begin(), hosts.end(), [&](const auto& host) { return host == hosts[0]; });
    listener = TcpSocket::listening(one_host ? TcpSocket::Reach::kThisHost : TcpSocket::Reach::kAllHosts);
    mine["addresses"] = one_host ? std::vector<std::string>{"127.0.0.1"} : host_addresses();
    mine["port"] = listener.port();
    mine["token"] = new_token();
  } catch (const std::system_error& error) {
    problem = error.what();
  }
  mine["problem"] = problem;
  const auto all = config.exchange(mine.dump());
  std::vector<json> ranks;
  for (const auto& text : all) ranks.push_back(json::parse(text));

  const auto place = [&](int rank) {
    return "rank " + std::to_string(rank) + " on " + ranks[static_cast<std::size_t>(rank)]["host"].get<std::string>();
  };
  const int before = (config.rank + config.size - 1) % config.size, after = (config.rank + 1) % config.size;
  predecessor = place(before);
  const bool all_listen = std::all_of(ranks.begin(), ranks.end(), [](const json& r) { return r["problem"] == ""; });
  if (all_listen) {
    try {
      const json& next = ranks[static_cast<std::size_t>(after)];
      to_successor = TcpSocket::connected(next["addresses"].get<std::vector<std::string>>(),
                                          next["port"].get<std::uint16_t>(), kConnectTimeout);
      to_successor.send(parse_token(next["token"].get<std::string>()));
      from_predecessor = accept_neighbour(listener, parse_token(mine["token"].get<std::string>()));
      if (!from_predecessor.is_open()) problem = "no connection from " + predecessor;
    } catch (const std::system_error& error) {
      problem = place(config.rank) + " to " + place(after) + ": " + error.what();
    }
  }
  for (const auto& theirs : config.exchange(problem)) {
    if (why_off.empty()) why_off = theirs;
  }
}

bool Heartbeat::State::listen(Clock::time_point& last_sign) {
  std::vector<std::uint8_t> beats;
  const bool open = from_predecessor.receive(beats);
  if (!beats.empty()) last_sign = Clock::now();
  for (const std::uint8_t beat : beats) {
    if ((beat & kStop) != 0) stop_seen = true;
    if ((beat & kGoodbye) != 0) return false;
  }
  return open;
}

void Heartbeat::State::beat() {
  const milliseconds pause = interval();
  auto last_sign = Clock::now(), last_beat = last_sign - pause, last_turn = last_sign;
  bool watched = true, stop_sent = false;
  while (!leaving) {
    const auto now = Clock::now();
    // This process itself was stopped for a while (suspended with its whole job): the peer's silence means nothing.
    if (now - last_turn > std::max(4 * pause, config.timeout / 2)) last_sign = now;
    last_turn = now;
    if (config.stop_requested && config.stop_requested()) stop_seen = true;
    if (now - last_beat >= pause || (stop_seen && !stop_sent)) {
      const std::uint8_t beat = stop_seen ? kStop : kAlive;
      to_successor.send({&beat, 1});
      stop_sent = stop_seen;
      last_beat = now;
    }
    if (watched && from_predecessor.readable(pause / 4)) watched = listen(last_sign);
    if (!watched) std::this_thread::sleep_for(pause / 4);
    if (watched && Clock::now() - last_sign > config.timeout) {
      config.on_lost("meshfold: rank " + std::to_string(config.rank) + " on " + config.host_name +
                     ": no sign of life from " + predecessor + " for " + base::seconds_text(config.timeout) +
                     " (run.heartbeat_s): its process is stopped, or its machine or the link to it is down; start the "
                     "same command again to continue");
      watched = false;
    }
  }
  const std::uint8_t goodbye = kGoodbye | (stop_seen ? kStop : 0);
  to_successor.send({&goodbye, 1});
}

Heartbeat::Heartbeat(HeartbeatConfig config) : state_(std::make_unique<State>()) {
  state_->config = std::move(config);
  if (!state_->config.on_lost) state_->config.on_lost = end_process;
  if (state_->config.size == 1) return;
  if (state_->config.timeout.count() == 0) {
    state_->why_off = "run.heartbeat_s = 0";
    return;
  }
  state_->close_ring();
  if (!state_->why_off.empty()) return;
  const BlockedSignals blocked;
  state_->thread = std::thread([state = state_.get()] { state->beat(); });
}

Heartbeat::~Heartbeat() {
  state_->leaving = true;
  if (state_->thread.joinable()) state_->thread.join();
}

bool Heartbeat::stop_seen() const { return state_->stop_seen; }
const std::string& Heartbeat::why_off() const { return state_->why_off; }

}  // namespace meshfold::dist
