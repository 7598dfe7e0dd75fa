#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace meshfold::dist {

/// An owned, non-blocking TCP socket over IPv4.
class TcpSocket {
 public:
  TcpSocket() = default;
  ~TcpSocket() { close(); }
  TcpSocket(TcpSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  TcpSocket& operator=(TcpSocket&& other) noexcept;

  enum class Reach { kThisHost, kAllHosts };
  /// Listens on a free port, of the loopback interface alone or of all. Throws system_error.
  static TcpSocket listening(Reach reach);
  /// A connection to the first of `addresses` ("10.0.0.5") that answers; throws system_error if none does in time.
  static TcpSocket connected(std::span<const std::string> addresses, std::uint16_t port,
                             std::chrono::milliseconds timeout);

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  std::uint16_t port() const;
  /// The next connection to a listening socket; a closed socket if none came in time.
  TcpSocket accept(std::chrono::milliseconds timeout) const;
  /// Whether there is something to read (or the end) within `timeout`.
  bool readable(std::chrono::milliseconds timeout) const;
  /// Sends what fits and drops the rest; false once the peer is gone.
  bool send(std::span<const std::uint8_t> bytes);
  /// Appends what has arrived to `bytes`; false at the end of the stream.
  bool receive(std::vector<std::uint8_t>& bytes);
  void close();

 private:
  explicit TcpSocket(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
};

/// The IPv4 addresses of this machine's interfaces that are up, the loopback one excluded.
std::vector<std::string> host_addresses();

}  // namespace meshfold::dist
