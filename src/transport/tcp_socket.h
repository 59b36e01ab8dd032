// TCP sockets for messages between machines.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace leman {

/// A host and a port; the host is a name or a literal IPv4 or IPv6 address.
struct TcpAddress {
  std::string host;
  uint16_t port = 0;  ///< 0 to listen on a free one.
};

/// Opens a listening socket that does not block. kInvalidArgument where the host is none of this machine's.
Result<int> ListenOn(const TcpAddress& address);

/// The port that a listening socket has.
uint16_t PortOf(int fd);

/// Connects, and tries again until `timeout_ms` have passed: the other end may be just coming up. kNotFound where it
/// never answers; the message names the address and the last reason.
Result<int> ConnectTo(const TcpAddress& address, int timeout_ms);

/// Small messages are sent at once, and bytes that are not acknowledged for `timeout_ms` break the connection.
void TuneForMessages(int fd, int timeout_ms);

}  // namespace leman
