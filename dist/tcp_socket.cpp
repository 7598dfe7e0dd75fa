#include "dist/tcp_socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace meshfold::dist {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::system_error(error, std::generic_category(), what);
}

void check(int result, const char* call) {
  if (result < 0) fail(call, errno);
}

int new_socket() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(descriptor, "socket");
  return descriptor;
}

sockaddr_in address_of(std::uint32_t host_order_address, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(host_order_address);
  address.sin_port = htons(port);
  return address;
}

bool wait_for(int descriptor, short events, std::chrono::milliseconds timeout) {
  pollfd entry{descriptor, events, 0};
  const int ready = ::poll(&entry, 1, static_cast<int>(timeout.count()));
  if (ready < 0 && errno != EINTR) fail("poll", errno);
  return ready > 0;
}

void send_at_once(int descriptor) {
  const int on = 1;
  check(::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
}

}  // namespace

TcpSocket& TcpSocket::operator=(TcpSocket&& other) noexcept {
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  return *this;
}

void TcpSocket::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

TcpSocket TcpSocket::listening(Reach reach) {
  TcpSocket socket(new_socket());
  const sockaddr_in address = address_of(reach == Reach::kThisHost ? INADDR_LOOPBACK : INADDR_ANY, 0);
  check(::bind(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(socket.descriptor_, 16), "listen");
  return socket;
}

TcpSocket TcpSocket::connected(std::span<const std::string> addresses, std::uint16_t port,
                               std::chrono::milliseconds timeout) {
  int error = EHOSTUNREACH;
  std::string tried;
  for (const std::string& text : addresses) {
    tried += " " + text;
    in_addr parsed{};
    if (::inet_pton(AF_INET, text.c_str(), &parsed) != 1) continue;
    const sockaddr_in address = address_of(ntohl(parsed.s_addr), port);
    TcpSocket socket(new_socket());
    if (::connect(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
      error = errno;
      if (error != EINPROGRESS) continue;
      error = ETIMEDOUT;
      if (!wait_for(socket.descriptor_, POLLOUT, timeout)) continue;
      socklen_t size = sizeof error;
      check(::getsockopt(socket.descriptor_, SOL_SOCKET, SO_ERROR, &error, &size), "getsockopt");
      if (error != 0) continue;
    }
    send_at_once(socket.descriptor_);
    return socket;
  }
  fail("connect to port " + std::to_string(port) + " of" + tried, error);
}

std::uint16_t TcpSocket::port() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return ntohs(address.sin_port);
}

TcpSocket TcpSocket::accept(std::chrono::milliseconds timeout) const {
  if (!wait_for(descriptor_, POLLIN, timeout)) return {};
  const int connection = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) return {};  // it was gone again
  TcpSocket socket(connection);
  send_at_once(connection);
  return socket;
}

bool TcpSocket::readable(std::chrono::milliseconds timeout) const { return wait_for(descriptor_, POLLIN, timeout); }

bool TcpSocket::send(std::span<const std::uint8_t> bytes) {
  return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0 || errno == EAGAIN || errno == EINTR;
}

bool TcpSocket::receive(std::vector<std::uint8_t>& bytes) {
  std::uint8_t buffer[256];
  for (;;) {
    const ssize_t count = ::recv(descriptor_, buffer, sizeof buffer, 0);
    if (count > 0) {
      bytes.insert(bytes.end(), buffer, buffer + count);
      continue;
    }
    return count < 0 && (errno == EAGAIN || errno == EINTR);
  }
}

std::vector<std::string> host_addresses() {
  ifaddrs* first = nullptr;
  check(::getifaddrs(&first), "getifaddrs");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, ::freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    const bool usable = entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                        (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable) continue;
    char text[INET_ADDRSTRLEN];
    const auto& address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;
    if (::inet_ntop(AF_INET, &address, text, sizeof text) != nullptr) addresses.emplace_back(text);
  }
  return addresses;
}

}  // namespace meshfold::dist
