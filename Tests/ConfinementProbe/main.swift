import CLinux
import CSeccomp
import Glibc
import VideoFile

// What a hostile video may have made of the process that opens it. In the place of stem-worker it
// goes through the same confinement, and then does what its video says, a line each:
//
//     NAME ARGUMENT…   a system call, with numbers and strings; says "NAME: RESULT", which is an
//                      error's negative number
//     crash            writes to where nothing is
//     abort            gives up
//     tcp PORT         connects to a port of this machine
//     balloon BYTES    takes memory until there is none, or so much
//     spin             computes for ever
//     thread           computes in a thread, and says so
//
// Other ways to start it:
//
//     confinement-probe free             does what its standard input says, unconfined
//     confinement-probe landlock         the same, held by Landlock alone
//     confinement-probe without CALLS PROGRAM ARGUMENT…
//                                        becomes a program of which the system does not know the
//                                        system calls CALLS (a,b,c)

let arguments = Array(CommandLine.arguments.dropFirst())

func say(_ text: String) {
  let line = text + "; "
  _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
}

func attempts() -> String {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 4096)
  while bytes.count < 1 << 16 {
    let got = read(STDIN_FILENO, &buffer, buffer.count)
    guard got > 0 else { break }
    bytes += buffer[..<got]
  }
  let text = String(decoding: bytes, as: UTF8.self)
  // An encoder's part is among the frames.
  guard let start = text.firstRange(of: "<<"), let end = text.firstRange(of: ">>") else {
    return text
  }
  return String(text[start.upperBound..<end.lowerBound])
}

// Has variable arguments, which Swift's importer passes over.
let syscall = unsafeBitCast(
  dlsym(nil, "syscall"),
  to: (@convention(c) (Int, Int, Int, Int, Int, Int, Int) -> Int).self)

func systemCall(_ name: String, _ arguments: [Substring]) {
  var values = arguments.map { argument in
    Int(argument) ?? Int(bitPattern: strdup(String(argument)))
  }
  values += [Int](repeating: 0, count: max(0, 6 - values.count))
  let number = Int(seccomp_syscall_resolve_name(name))
  var result = syscall(number, values[0], values[1], values[2], values[3], values[4], values[5])
  if result == -1 { result = -Int(errno) }
  // Whoever forks must not tell twice.
  if result == 0, ["fork", "vfork", "clone"].contains(name) { _exit(0) }
  say("\(name): \(result)")
}

func perform(_ text: String) {
  for line in text.split(separator: "\n") {
    let words = line.split(separator: " ")
    switch words.first {
    case nil: break
    case "crash": UnsafeMutablePointer<Int>(bitPattern: 16)!.pointee = 1
    case "abort": abort()
    case "tcp": connect(port: UInt16(words[1])!)
    case "balloon": balloon(Int(words[1])!)
    case "spin": while getpid() != 0 {}
    case "thread":
      var thread = pthread_t()
      let started = pthread_create(
        &thread, nil,
        { _ in
          say("from a thread")
          return nil
        }, nil)
      if started == 0 { pthread_join(thread, nil) } else { say("no thread: \(started)") }
    case let name?: systemCall(String(name), Array(words.dropFirst()))
    }
  }
}

func connect(port: UInt16) {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  let result = withUnsafeBytes(of: &address) {
    Glibc.connect(
      descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
  }
  say("tcp: \(result == 0 ? 0 : -errno)")
}

func balloon(_ most: Int) {
  let piece = 16 << 20
  var taken = 0
  while taken < most {
    let memory = mmap(nil, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { break }
    memset(memory, 1, piece)
    taken += piece
  }
  say("took \(taken >> 20) MiB")
}

/// The system does not know `calls`; says 38, as it does then.
func forget(_ calls: [Substring]) {
  let filter = seccomp_init(UInt32(SCMP_ACT_ALLOW))
  for call in calls {
    let number = seccomp_syscall_resolve_name(String(call))
    guard seccomp_rule_add_array(filter, stem_SCMP_ACT_ERRNO(ENOSYS), number, 0, nil) == 0 else {
      fatalError("no system call \(call)")
    }
  }
  guard seccomp_load(filter) == 0 else { fatalError("no filter") }
}

switch arguments.first {
case "free":
  perform(attempts())
case "landlock":
  guard stem_prctl_set_no_new_privileges() == 0 else { fatalError("no_new_privs") }
  try Landlock.enter()
  perform(attempts())
case "without":
  forget(arguments[1].split(separator: ","))
  var program = arguments.dropFirst(2).map { strdup($0) } + [nil]
  execv(program[0]!, &program)
  fatalError("\(arguments[2]): \(String(cString: strerror(errno)))")
default:
  // Status 64: all that was said is a sentence for the parent.
  exit(
    VideoChild.run(
      arguments: arguments,
      instead: {
        perform(attempts())
        _exit(64)
      }))
}
