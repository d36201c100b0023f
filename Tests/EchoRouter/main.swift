import CLinux
import Foundation
import Messaging

// echo-router DESCRIPTORS CEILING KEYS ENDPOINT
//
// Opens a router at ENDPOINT and one at a tcp port, lets nobody in there but the keys of the folder
// KEYS, prints the port's endpoint, and sends every message back with the number of refused
// connections; until its standard input ends. It may open DESCRIPTORS files, and CEILING of them
// may be connections (0: any number).

let arguments = CommandLine.arguments
guard arguments.count == 5, let limit = UInt(arguments[1]), let ceiling = Int(arguments[2]) else {
  exit(2)
}
guard stem_set_resource_limit(stem_RLIMIT_NOFILE, limit, limit) == 0,
  stem_set_resource_limit(stem_RLIMIT_CORE, 0, 0) == 0
else { exit(2) }
if ceiling > 0 { ConnectionCeiling.set(descriptors: ceiling) }

let keys = KeyFolder(path: arguments[3])
let context = try MessagingContext()
let authenticator = try Authenticator(context: context, keys: keys)
let local = try MessageSocket(.router, context: context)
try local.bind(arguments[4])
let remote = try MessageSocket(
  .router, context: context,
  security: .curveServer(secretKey: try keys.makeServerKeyPair().secretKey, domain: .control))
try remote.bind("tcp://127.0.0.1:*")
print(try remote.lastEndpoint())
fflush(nil)

while true {
  let ready = try Poller.wait(
    for: [
      .socket(authenticator.socket), .socket(local), .socket(remote), .descriptor(STDIN_FILENO),
    ], milliseconds: -1)
  if ready[3] { exit(0) }
  try authenticator.answerRequests()
  for socket in [local, remote] {
    while let message = try socket.receiveFromPeer() {
      _ = try socket.send(
        [message.peer] + message.frames + [Data("\(ConnectionCeiling.refused)".utf8)])
    }
  }
}
