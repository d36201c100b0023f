import CLinux
import Foundation
import Testing

@testable import VideoFile

/// What a program can do that a video has put into the decoder's or encoder's place: see
/// `confinement-probe`, which goes through the same confinement and then does what its video says.
@Suite("The confinement of the process that opens a video")
struct ConfinementTests {
  let folder: TemporaryFolder
  let planted = VideoProcess(
    program: probeProgram, limits: VideoProcess.Limits(stallSeconds: 60, memoryBytes: 1 << 30))
  let source = DecodingOptions(size: .source)

  init() throws { folder = try TemporaryFolder() }

  /// What comes of a video that makes the decoder do `lines`.
  private func decoding(_ lines: [String], by process: VideoProcess? = nil) throws
    -> VideoFileError
  {
    let path = try folder.write(
      lines.joined(separator: "\n").utf8, to: "clip-\(UUID().uuidString).mp4")
    return try #require(throws: VideoFileError.self) {
      try (process ?? planted).decode(path: path, options: source)
    }
  }

  /// What comes of a clip that makes the encoder do `lines`.
  private func encoding(_ lines: [String], _ options: EncodingOptions = EncodingOptions()) throws
    -> VideoFileError
  {
    let text = Array("<<\(lines.joined(separator: "\n"))>>".utf8)
    var clip = sampleClip(width: 128, height: 128, frames: 1)
    clip.pixels.replaceSubrange(..<text.count, with: text)
    let path = folder.file("out-\(UUID().uuidString).mp4")
    let error = try #require(throws: VideoFileError.self) {
      try planted.encode(clip, to: path, options: options)
    }
    #expect(!FileManager.default.fileExists(atPath: path))
    return error
  }

  /// What the probe says when it does `lines` and is held by nothing, or as `mode` says.
  private func probe(_ mode: String, _ lines: [String]) throws -> [String] {
    let input = try folder.write(lines.joined(separator: "\n").utf8, to: "lines")
    let process = Process()
    process.executableURL = probeProgram
    process.arguments = [mode]
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: input))
    let output = Pipe()
    process.standardError = output
    try process.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return results(String(decoding: said, as: UTF8.self))
  }

  private func results(_ said: String) -> [String] {
    said.components(separatedBy: ";").map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
  }

  private func refusals(of lines: [String]) -> [String] {
    lines.map { "\($0.prefix { $0 != " " }): -\(EACCES)" }
  }

  /// Ways to files that the decoder has no business with, and to ones that it should not have
  /// again. None of them has a blank in it.
  private func waysToFiles() throws -> [String] {
    let other = folder.file("another-job")
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    _ = try folder.write([1], to: "another-job/source.mp4")
    let (read, readWrite, create, list) = (O_RDONLY, O_RDWR, O_CREAT | O_EXCL | O_RDWR, O_DIRECTORY)
    return [
      "openat -100 \(other)/source.mp4 \(read)", "openat -100 \(other)/source.mp4 \(readWrite)",
      "openat -100 \(other) \(list)", "openat -100 \(other)/new \(create) 384",
      "openat -100 /proc/\(getpid())/root\(other)/source.mp4 \(read)",
      "openat -100 /proc/\(getpid())/environ \(read)", "openat -100 /proc/self/fd/0 \(read)",
      "openat -100 /proc/self/mem \(readWrite)", "openat -100 /etc/passwd \(read)",
      "openat -100 / \(list)", "openat -100 /dev/null \(readWrite)",
    ]
  }

  /// Looks and changes that need no open file.
  private func waysAround() throws -> [String] {
    let here = try folder.write([1], to: "here-\(UUID().uuidString)")
    return [
      "readlinkat -100 /proc/self/exe \(String(repeating: "x", count: 200)) 200",
      "faccessat -100 \(here) 0", "newfstatat -100 \(here) \(String(repeating: "x", count: 200)) 0",
      "statx -100 \(here) 0 4095 \(String(repeating: "x", count: 300))",
    ]
  }

  private let mayReadShadow = getuid() == 0
  private let shadow = "openat -100 /etc/shadow \(O_RDONLY)"

  @Test("what is refused below works where nothing confines the probe")
  func unconfined() throws {
    let port = try ListeningPort()
    let lines =
      try waysToFiles() + (mayReadShadow ? [shadow] : []) + waysAround() + [
        "socket \(AF_INET) 1 0", "tcp \(port.number)", "ptrace 0 0 0", "kill \(getpid()) 0",
        "clone \(SIGCHLD)", "mmap 0 4096 7 34 -1 0", "pidfd_open \(getpid()) 0", "getppid",
        "memfd_create name 0", "inotify_init1 0", "thread",
      ]
    let said = try probe("free", lines)
    #expect(said.count == lines.count)
    for (line, result) in zip(lines, said) where line != "thread" {
      let number = result.split(separator: " ").last.flatMap { Int($0) }
      #expect(number ?? -1 >= 0, "\(line): \(result)")
    }
    #expect(said.last == "from a thread")
  }

  @Test(
    "no file can be opened or looked at: another job's, the parent's, /etc/shadow, its own anew")
  func files() throws {
    for lines in [try waysToFiles(), [shadow], try waysAround()] {
      let refused = refusals(of: lines)
      for error in [try decoding(lines), try encoding(lines)] {
        #expect(results(error.problem) == refused)
      }
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.file("another-job")) == [
        "source.mp4"
      ])
  }

  @Test(
    "whatever else is tried ends the process, and the sentence names the call",
    arguments: [
      // The network, and descriptors handed over.
      "socket \(AF_INET) 1 0", "socket \(AF_UNIX) 1 0", "socketpair \(AF_UNIX) 1 0", "connect 1",
      "bind 1", "listen 1", "accept4 1", "sendto 1", "sendmsg 1", "recvmsg 0", "io_uring_setup 8",
      "pidfd_getfd 3 0 0", "dup 1", "pipe2", "memfd_create name 0", "inotify_init1 0",
      // Programs and processes.
      "execve /bin/true 0 0", "execveat -100 /bin/true 0 0", "clone \(SIGCHLD)",
      "clone \(CLONE_NEWUSER | SIGCHLD)", "unshare \(CLONE_NEWNET)", "setns 0 0",
      "ptrace 0 0 0", "ptrace 16 1 0", "process_vm_readv 1", "process_vm_writev 1", "kill 1 0",
      "kill \(getpid()) 9", "tkill 1 9", "tgkill 1 1 9", "pidfd_open 1 0", "getppid", "setpgid 0 0",
      "setsid",
      // Files without opening them.
      "unlinkat -100 /tmp/none 0", "renameat2 -100 /tmp/none -100 /tmp/none2 0",
      "mkdirat -100 /tmp/none 448", "linkat -100 /etc/passwd -100 /tmp/none 0",
      "symlinkat /etc/passwd -100 /tmp/none", "fchmodat -100 /tmp/none 511", "chdir /",
      "truncate /tmp/none 0", "mount none /tmp none 0 0", "chroot /", "fchmod 1 511",
      "name_to_handle_at -100 /etc/passwd", "pwritev 1", "ftruncate 1 0",
      // Its own bonds.
      "mmap 0 4096 7 34 -1 0", "mprotect 4096 4096 5", "pkey_mprotect 4096 4096 5 -1",
      "personality 4194304", "rt_sigaction 31 0 0 8", "seccomp 1 0 0", "setuid 0", "capset",
      "landlock_create_ruleset 0 0 1", "setrlimit 9 /",
      // The kernel's rare corners.
      "bpf 0", "userfaultfd 0", "perf_event_open", "keyctl 0", "add_key", "shmget 0 4096 512",
      "mq_open /x", "timer_create 0", "syslog 3", "init_module", "kexec_load",
    ])
  func everythingElse(line: String) throws {
    let name = line.prefix { $0 != " " }
    for (error, agent) in [(try decoding([line]), "decoder"), (try encoding([line]), "encoder")] {
      #expect(error.kind == .suspicious && !error.mayPass)
      #expect(
        error.problem.hasSuffix(
          "the \(agent) tried something that a video must not need, the system call \(name), and was stopped; the file is suspicious"
        ), "\(error)")
    }
  }

  @Test("who silences the word on a call is not taken for one who crashed")
  func silenced() throws {
    // Where SIGSYS is blocked, which is among the signals of these bytes, no handler is asked.
    let signals = String(repeating: "x", count: 8)
    let lines = ["rt_sigprocmask 0 \(signals) 0 8", "socket 2 1 0"]
    for (error, agent) in [(try decoding(lines), "decoder"), (try encoding(lines), "encoder")] {
      #expect(error.kind == .suspicious)
      #expect(
        error.problem.hasSuffix(
          "the \(agent) tried something that a video must not need, a system call that it may not make, and was stopped; the file is suspicious"
        ), "\(error)")
    }
  }

  @Test("its limits can be read, and not raised")
  func limits() throws {
    #expect(try decoding(["prlimit64 0 7 0 0"]).problem == "prlimit64: 0;")
    let text = String(repeating: "x", count: 16)
    for line in ["prlimit64 0 7 \(text) 0", "prlimit64 \(getpid()) 7 0 \(text)"] {
      #expect(try decoding([line]).kind == .suspicious)
    }
  }

  @Test("only the encoder writes at an offset, and only to its file")
  func writing() throws {
    #expect(try decoding(["pwrite64 1 x 1 0"]).kind == .suspicious)
    #expect(try encoding(["pwrite64 1 x 1 0"]).problem == "pwrite64: 1;")
    #expect(try encoding(["pwrite64 0 x 1 0"]).problem == "pwrite64: -\(ESPIPE);")
  }

  @Test("the file of the sound can be read by the encoder, and nothing else done to it")
  func sound() throws {
    let source = try folder.write([UInt8](repeating: 7, count: 100), to: "source.mp4")
    let lines = ["lseek 3 0 2", "pread64 3 \(String(repeating: "x", count: 8)) 8 0"]
    let options = EncodingOptions(sound: SoundSource(path: source))
    let ways = try waysToFiles()
    let said = results(try encoding(lines + ["pwrite64 3 x 1 0"] + ways, options).problem)
    #expect(said == ["lseek: 100", "pread64: 8", "pwrite64: -\(EBADF)"] + refusals(of: ways))
    #expect(results(try encoding(lines).problem) == ["lseek: -\(EBADF)", "pread64: -\(EBADF)"])
    #expect(try encoding(["sendmsg 3"], options).kind == .suspicious)
    #expect(try folder.bytes(of: "source.mp4") == [UInt8](repeating: 7, count: 100))
  }

  @Test("threads may be started: they are held as the process is")
  func threads() throws {
    #expect(try decoding(["thread"]).problem == "from a thread;")
    #expect(try decoding(["thread", "socket 2 1 0"]).kind == .suspicious)
  }

  @Test("a crash is a crash, without a debugger in it")
  func crashes() throws {
    #expect(
      try decoding(["crash"]).problem.hasPrefix(
        "was not decoded: the decoder crashed on it (signal 11, "))
    #expect(try decoding(["abort"]).problem.contains("(signal 6, "))
    #expect(
      try encoding(["crash"]).problem.hasPrefix(
        "was not written: the encoder crashed on it (signal 11, "))
  }

  @Test("memory ends at the limit, which is the process's alone")
  func balloons() throws {
    let said = try decoding(["balloon \(8 << 30)"]).problem
    let taken = try #require(said.split(separator: " ").dropFirst().first.flatMap { Int($0) })
    #expect((1..<1024).contains(taken), "\(said)")
  }

  @Test("processor time ends at the limit")
  func spins() throws {
    var process = planted
    process.limits.processorSeconds = 1
    let error = try decoding(["spin"], by: process)
    #expect(error.kind == .limit)
    #expect(error.problem == "was not decoded: the decoder took more than 1 s of processor time")
  }

  @Test("Landlock holds by itself", .enabled(if: Landlock.version > 0))
  func landlockAlone() throws {
    let port = try ListeningPort()
    let network = Landlock.version >= 4
    let lines =
      try waysToFiles() + [shadow, "execve /bin/true 0 0"] + (network ? ["tcp \(port.number)"] : [])
    #expect(
      try probe("landlock", lines) == refusals(of: lines))
  }

  @Test("without Landlock the filter holds by itself, and videos are read and written")
  func withoutLandlock() throws {
    let hidden = try folder.program(
      "exec '\(probeProgram.path)' without landlock_create_ruleset '\(probeProgram.path)' \"$@\"")
    let lines = try waysToFiles() + [shadow]
    let held = VideoProcess(program: hidden, limits: planted.limits)
    #expect(
      results(try decoding(lines, by: held).problem)
        == refusals(of: lines))
    #expect(try decoding(["socket 2 1 0"], by: held).kind == .suspicious)

    let process = VideoProcess(
      program: try folder.program(
        "exec '\(probeProgram.path)' without landlock_create_ruleset '\(workerProgram.path)' \"$@\""
      ))
    try process.encode(sampleClip(frames: 3), to: folder.file("a.mp4"))
    #expect(try process.decode(path: folder.file("a.mp4"), options: source).frameCount == 3)
  }

  @Test("without a filter nothing is opened at all")
  func withoutFilter() throws {
    let process = VideoProcess(
      program: try folder.program(
        "exec '\(probeProgram.path)' without seccomp '\(workerProgram.path)' \"$@\""))
    let error = try decoding([""], by: process)
    #expect(error.kind == .resources)
    #expect(
      error.problem.hasPrefix(
        "was not touched: its process could not be held to the system calls of a decoder (seccomp): "
      ), "\(error)")
  }

  @Test("a lower limit of the whole service stays")
  func lowerLimits() throws {
    let process = VideoProcess(
      program: try folder.program("ulimit -t 60 -v 4000000; exec '\(workerProgram.path)' \"$@\""))
    let path = try folder.write(sampleClip(frames: 2), to: "a.mp4")
    #expect(try process.decode(path: path, options: source).frameCount == 2)
  }

  @Test("the name of a call is taken from a report of just that form")
  func reports() {
    #expect(SystemCallFilter.name(inReport: "system call \(SYS_getppid)") == "getppid")
    #expect(SystemCallFilter.name(inReport: "system call 99999") == "number 99999")
    for other in ["", "system call", "system call x", "system call 1 2", "a system call 1"] {
      #expect(SystemCallFilter.name(inReport: other) == nil)
    }
  }
}

/// A port of this machine that takes connections.
private final class ListeningPort {
  let number: UInt16
  private let descriptor: Int32

  init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutableBytes(of: &address) {
      let address = $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return bind(descriptor, address, length) + listen(descriptor, 8)
        + getsockname(descriptor, address, &length)
    }
    guard result == 0 else { throw SystemError(code: errno) }
    (number, self.descriptor) = (UInt16(bigEndian: address.sin_port), descriptor)
  }

  deinit { close(descriptor) }
}
