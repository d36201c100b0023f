import Foundation
import Synchronization
import Testing

@testable import VideoFile

@Suite("The process around the decoder")
struct VideoProcessTests {
  let folder: TemporaryFolder
  let source = DecodingOptions(size: .source)

  init() throws { folder = try TemporaryFolder() }

  @Test("a clip that is stored is the one that would be in memory, and is written alike")
  func stored() throws {
    let path = try folder.write(sampleClip(width: 320, height: 240, frames: 5), to: "stored.mp4")
    let clip = try videoProcess.decode(path: path, options: DecodingOptions(size: .source))
    let stored = try videoProcess.decode(
      path: path, options: DecodingOptions(size: .source), storedIn: NSTemporaryDirectory())
    #expect((stored.width, stored.height) == (clip.width, clip.height))
    #expect(stored.timing == clip.timing && stored.warnings == clip.warnings)
    #expect(try stored.withFrames(0..<stored.frameCount) { Array($0) } == clip.pixels)
    #expect(
      try stored.withFrames(1..<3) { Array($0) }
        == Array(clip.pixels[clip.bytesPerFrame..<3 * clip.bytesPerFrame]))
    let error = #expect(throws: VideoFileError.self) {
      try videoProcess.decode(
        path: path, options: DecodingOptions(size: .source), storedIn: "/proc/nowhere")
    }
    #expect(error?.kind == .resources && error?.name == "/proc/nowhere")
  }

  @Test("the child gives what the decoder gives, pixel for pixel")
  func decoding() throws {
    let path = try folder.write(sampleClip(width: 320, height: 240, frames: 20), to: "a.mp4")
    for size in [
      DecodingOptions.Size.source, .exactly(width: 100, height: 60),
      .fitting(area: 10_000, multiples: [8]),
    ] {
      let options = DecodingOptions(size: size, frames: 15)
      let here = try decode(path, options)
      let there = try videoProcess.decode(path: path, options: options)
      #expect(there.timing == here.timing)
      #expect((there.width, there.height) == (here.width, here.height))
      #expect(there.pixels == here.pixels)
    }
  }

  @Test("the child writes what the encoder writes, byte for byte")
  func encoding() throws {
    var clip = sampleClip(width: 320, height: 240, frames: 20)
    clip.timing.pts[19] = 40
    _ = try folder.write(clip, to: "here.mp4")
    try videoProcess.encode(clip, to: folder.file("there.mp4"))
    #expect(try folder.bytes(of: "there.mp4") == folder.bytes(of: "here.mp4"))
  }

  @Test("many at once do not disturb each other")
  func concurrency() async throws {
    let path = try folder.write(sampleClip(frames: 8), to: "a.mp4")
    let expected = try decode(path).pixels
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask {
          try videoProcess.decode(path: path, options: DecodingOptions(size: .source)).pixels
            == expected
        }
      }
      for try await same in group { #expect(same) }
    }
  }

  private func failure(
    _ script: String, limits: VideoProcess.Limits = VideoProcess.Limits(stallSeconds: 20),
    options: DecodingOptions? = nil
  ) throws -> VideoFileError {
    let path = try folder.write([1], to: "clip-\(UUID().uuidString).mp4")
    let process = VideoProcess(program: try folder.program(script), limits: limits)
    var error = try #require(throws: VideoFileError.self) {
      try process.decode(path: path, options: options ?? source)
    }
    error.name = "clip.mp4"
    return error
  }

  @Test("a decoder that crashes is told from a bad file")
  func crashes() throws {
    let crash = try failure("kill -SEGV $$")
    #expect(crash.kind == .crashed)
    #expect(crash.problem.contains("the decoder crashed on it (signal 11, "))
    #expect(!crash.mayPass)
    // Killed from outside, by the kernel when memory runs out: another attempt may succeed.
    let killed = try failure("kill -KILL $$")
    #expect(killed.kind == .resources)
    #expect(killed.mayPass)
  }

  @Test("a decoder that fails without a word is reported with its status")
  func silentFailure() throws {
    #expect(
      try failure("exit 1").description
        == "\"clip.mp4\" was not decoded: the decoder ended early with status 1")
    #expect(
      try failure("echo oh no >&2; exit 3").problem
        == "was not decoded: the decoder ended early with status 3: oh no")
    #expect(try failure("exit 0").kind == .crashed)
  }

  @Test("a decoder's last words are one line, and not endless")
  func lastWords() throws {
    let error = try failure("printf 'one\\ntwo\\033[31m' >&2; exit 64")
    #expect(error.kind == .input)
    #expect(error.problem == "one two [31m")
    #expect(
      try failure(
        "yes >&2 | head -c 1 & head -c 3000000 /dev/zero | tr '\\\\0' x >&2; kill %1; exit 64"
      ).problem.count <= 4096)
  }

  @Test("a decoder that hangs is killed, with all that it has started")
  func hangs() throws {
    let error = try failure(
      "echo $$ > \(folder.file("pid")); sleep 1000 & sleep 1000",
      limits: VideoProcess.Limits(stallSeconds: 0.5))
    #expect(error.kind == .stalled)
    #expect(error.problem == "was not decoded: the decoder gave no sign of life for 0.5 s")
    #expect(error.mayPass)
    let pid = try #require(
      Int32(
        String(decoding: folder.bytes(of: "pid"), as: UTF8.self).trimmingCharacters(
          in: .whitespacesAndNewlines)))
    #expect(kill(pid, 0) == -1)
    // Its children go to init, which may take a moment to bury them.
    while kill(-pid, 0) == 0 { usleep(1000) }
  }

  @Test("a decoder that closes its pipes and lives on is killed")
  func closesAndLives() throws {
    #expect(
      try failure("exec >&- 2>&-; exec sleep 1000", limits: VideoProcess.Limits(stallSeconds: 0.5))
        .kind == .stalled)
  }

  @Test("a decoder that drips bytes has an end")
  func drips() throws {
    let limits = VideoProcess.Limits(stallSeconds: 20, totalSeconds: 0.5)
    #expect(
      try failure("printf STEMCLP2; while :; do sleep 0.05; printf . >&2; done", limits: limits)
        .kind == .stalled)
  }

  @Test("a caller who changes their mind is not kept waiting")
  func cancellation() throws {
    let path = try folder.write([1], to: "clip.mp4")
    let process = VideoProcess(program: try folder.program("exec sleep 1000"))
    #expect(throws: CancellationError.self) {
      try process.decode(path: path, options: source, isCancelled: { true })
    }
  }

  @Test("nonsense from the decoder is refused: it may have been taken over")
  func nonsense() throws {
    #expect(try failure("head -c 100000 /dev/zero").problem.contains("something else than frames"))
    #expect(try failure("head -c 100000 /dev/urandom").kind == .crashed)
    func stream(
      width: Int32, height: Int32, timeBase: Int32 = 1, times: [Int64], end: (Int64, Int64)?
    ) throws -> String {
      func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
      }
      var stream =
        Array("STEMCLP2".utf8) + bytes(width) + bytes(height)
        + [timeBase, 25, 25, 1].flatMap { bytes($0) } + bytes(Int64.max)
        + [2, 2, 2, 2] + bytes(width) + bytes(height) + bytes(Int64(0)) + [0]
      for time in times {
        stream +=
          [UInt8(ascii: "F")] + bytes(time) + [UInt8](repeating: 9, count: Int(width * height) * 3)
      }
      if let end {
        stream += [UInt8(ascii: "E")] + bytes(end.0) + bytes(end.1) + [0] + bytes(UInt32(0))
      }
      return "exec cat '\(try folder.write(stream, to: UUID().uuidString))'"
    }
    let small = DecodingOptions(size: .exactly(width: 2, height: 2), maximumFrames: 3)
    // The same stream, without fault, is taken.
    let good = VideoProcess(
      program: try folder.program(try stream(width: 2, height: 2, times: [0, 1, 5], end: (3, 1))))
    #expect(
      try good.decode(path: folder.write([1], to: "good.mp4"), options: small).timing.pts == [
        0, 1, 5,
      ])

    #expect(
      try failure(stream(width: 2, height: 4, times: [0], end: (1, 1)), options: small).problem
        .contains("not asked for"))
    #expect(
      try failure(stream(width: 2, height: 2, timeBase: 0, times: [0], end: (1, 1)), options: small)
        .kind == .crashed)
    #expect(
      try failure(stream(width: 2, height: 2, times: [0, 2, 2], end: (3, 1)), options: small)
        .problem.contains("out of order"))
    #expect(
      try failure(stream(width: 2, height: 2, times: [4], end: (1, 1)), options: small).problem
        .contains("not at the start"))
    #expect(
      try failure(stream(width: 2, height: 2, times: [0, 1, 2, 3], end: (4, 1)), options: small)
        .kind == .limit)
    #expect(
      try failure(stream(width: 2, height: 2, times: [0, 1], end: (3, 1)), options: small).problem
        .contains("does not match"))
    #expect(
      try failure(stream(width: 2, height: 2, times: [0], end: (1, 0)), options: small).kind
        == .crashed)
    #expect(
      try failure(stream(width: 2, height: 2, times: [], end: (0, 1)), options: small).kind
        == .crashed)
    // Without its trailer a clip is not whole, even if all its frames are there.
    #expect(
      try failure(stream(width: 2, height: 2, times: [0, 1, 2], end: nil), options: small).problem
        .contains("ended early"))
    #expect(try failure(stream(width: 16_385, height: 1, times: [], end: nil)).kind == .crashed)
  }

  @Test("a program that cannot be started is named")
  func missingProgram() throws {
    let path = try folder.write(sampleClip(frames: 1), to: "a.mp4")
    let error = #expect(throws: VideoFileError.self) {
      try VideoProcess(program: URL(fileURLWithPath: "/nonexistent/worker")).decode(
        path: path, options: source)
    }
    #expect(error?.problem.contains("/nonexistent/worker cannot be started: No such file") == true)
  }

  @Test("an encoder that fails leaves no file, and kills nobody by a broken pipe")
  func encoderFails() throws {
    let clip = sampleClip(width: 640, height: 480, frames: 8)
    for (script, kind) in [
      ("exit 1", VideoFileError.Kind.crashed), ("kill -SEGV $$", .crashed),
      ("exec <&-; exit 0", .crashed),
    ] {
      let process = VideoProcess(
        program: try folder.program(script), limits: VideoProcess.Limits(stallSeconds: 20))
      let error = #expect(throws: VideoFileError.self) {
        try process.encode(clip, to: folder.file("out.mp4"))
      }
      #expect(error?.kind == kind)
      #expect(!FileManager.default.fileExists(atPath: folder.file("out.mp4")))
    }
    let hanging = VideoProcess(
      program: try folder.program("exec sleep 1000"), limits: VideoProcess.Limits(stallSeconds: 0.5)
    )
    #expect(throws: VideoFileError.self) { try hanging.encode(clip, to: folder.file("out.mp4")) }
  }

  @Test("a file that exists is not written over")
  func noOverwriting() throws {
    let path = try folder.write([1, 2, 3], to: "precious.mp4")
    let error = #expect(throws: VideoFileError.self) {
      try videoProcess.encode(sampleClip(frames: 1), to: path)
    }
    #expect(error?.problem == "cannot be created: File exists")
    #expect(try folder.bytes(of: "precious.mp4") == [1, 2, 3])
    symlink(folder.file("elsewhere"), folder.file("link.mp4"))
    #expect(throws: VideoFileError.self) {
      try videoProcess.encode(sampleClip(frames: 1), to: folder.file("link.mp4"))
    }
    #expect(!FileManager.default.fileExists(atPath: folder.file("elsewhere")))
  }

  @Test("limits of the child are in force, and named")
  func childLimits() throws {
    let clip = sampleClip(width: 640, height: 480, frames: 4)
    var process = videoProcess
    process.limits.fileBytes = 1000
    let tooLong = #expect(throws: VideoFileError.self) {
      try process.encode(clip, to: folder.file("long.mp4"))
    }
    #expect(tooLong?.kind == .limit)
    #expect(tooLong?.problem.contains("1000 bytes") == true)
    let path = try folder.write(clip, to: "a.mp4")
    process.limits.memoryBytes = 1 << 20
    #expect(throws: VideoFileError.self) { try process.decode(path: path, options: source) }
  }

  @Test("the child sees its file, its pipes and nothing else of the parent")
  func inheritsNothing() throws {
    // Left open for children on purpose, as a careless library would.
    let leaked = open("/dev/null", O_RDONLY)
    defer { close(leaked) }
    setenv("STEMD_TEST_SECRET", "secret", 1)
    defer { unsetenv("STEMD_TEST_SECRET") }
    let list = folder.file("list")
    _ = try failure("(ls /proc/$$/fd; env; cut -d ' ' -f 5 /proc/$$/stat; echo $$) > \(list)")
    let text = String(decoding: try folder.bytes(of: "list"), as: UTF8.self)
    let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    // The shell keeps its script open as descriptor 10.
    #expect(lines.prefix { Int($0) != nil }.filter { $0 != "10" } == ["0", "1", "2"])
    #expect(!text.contains("STEMD_TEST_SECRET"))
    #expect(lines.suffix(2).first == lines.last)
  }

  @Test("the child dies with its parent", .timeLimit(.minutes(1)))
  func diesWithParent() throws {
    let path = try folder.write(sampleClip(width: 640, height: 480, frames: 40), to: "a.mp4")
    let request = try VideoChild.Request(
      parent: 424242, limits: VideoProcess.Limits(), job: .decode(source)
    ).argument()
    // Held open by this process, so that no broken pipe ends the child; nobody takes its frames, so
    // it waits for ever.
    #expect(mkfifo(folder.file("frames"), 0o600) == 0)
    let reader = open(folder.file("frames"), O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    defer { close(reader) }
    let shell = Process()
    shell.executableURL = try folder.program(
      """
      request=$(printf '%s' '\(request)' | sed s/424242/$$/)
      exec 3<> '\(folder.file("frames"))'
      '\(workerProgram.path)' decode-video "$request" < '\(path)' > '\(folder.file("frames"))' &
      echo $! > '\(folder.file("pid"))'
      head -c 8 '\(folder.file("frames"))' > '\(folder.file("magic"))'
      kill -KILL $$
      """)
    try shell.run()
    shell.waitUntilExit()
    #expect(try folder.bytes(of: "magic") == FrameStream.magic)
    let pid = try #require(
      Int32(
        String(decoding: folder.bytes(of: "pid"), as: UTF8.self).trimmingCharacters(
          in: .whitespacesAndNewlines)))
    while isRunning(pid) { usleep(1000) }
  }

  private func isRunning(_ pid: Int32) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let end = status.lastIndex(of: ")")
    else {
      return false
    }
    return !status[end...].hasPrefix(") Z")
  }

  @Test(
    "while it decodes, the child is held to no further descriptor, no new privilege and no core dump"
  )
  func confinement() throws {
    let file = try openVideo(
      path: folder.write(sampleClip(width: 640, height: 480, frames: 40), to: "a.mp4"))
    let limits = VideoProcess.Limits(processorSeconds: 77, memoryBytes: 3 << 30)
    let child = try ChildProgram(
      program: workerProgram.path,
      arguments: [
        "decode-video",
        VideoChild.Request(parent: getpid(), limits: limits, job: .decode(source)).argument(),
      ],
      wiring: .reads(descriptor: file.descriptor),
      patience: ChildProgram.Patience(
        stall: .seconds(20), total: .seconds(60), isCancelled: { false }))
    // The first bytes are here, so it is past its preparations; the rest of the clip does not fit
    // the socket, so it is still there.
    var magic = FrameStream.magic
    #expect(try magic.withUnsafeMutableBytes(child.receive) == magic.count)
    let table = try String(contentsOfFile: "/proc/\(child.pid)/limits", encoding: .utf8)
    func limit(_ name: String) -> [Substring] {
      table.split(separator: "\n").first { $0.hasPrefix(name) }?.dropFirst(name.count).split(
        separator: " "
      ).prefix(2).map { $0 }
        ?? []
    }
    #expect(limit("Max open files") == ["3", "3"])
    #expect(limit("Max core file size") == ["0", "0"])
    #expect(limit("Max cpu time") == ["77", "82"])
    #expect(limit("Max address space") == ["3221225472", "3221225472"])
    let status = try String(contentsOfFile: "/proc/\(child.pid)/status", encoding: .utf8)
    #expect(status.contains("NoNewPrivs:\t1\n"))
    #expect(status.contains("Seccomp:\t2\n"))
    #expect(status.contains("Threads:\t1\n"))
    child.kill()
    #expect(kill(child.pid, 0) == -1)
  }

  @Test("arguments that are not from the parent are refused")
  func foreignArguments() {
    #expect(VideoChild.run(arguments: ["decode-video"]) != 0)
    #expect(VideoChild.run(arguments: ["decode-video", "{}"]) != 0)
    #expect(VideoChild.run(arguments: ["decode-video", "{}", "more"]) != 0)
  }
}
