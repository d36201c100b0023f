import Foundation

/// Reads and writes videos in a process of its own for each, which sees that one file and nothing
/// else of this process: a decoder that crashes, hangs or is taken over by a hostile file takes one
/// clip with it.
///
/// Calls return when the clip is read or written; the child is gone then, in any case. They may be
/// made from any thread, at the same time. The child also dies with the thread that called.
public struct VideoProcess: Sendable {
  /// The program to start; it must pass its arguments to `VideoChild.run` where the first is one of
  /// `VideoChild.commands`.
  public var program: URL
  public var limits: Limits

  /// What a child may take.
  public struct Limits: Sendable, Codable, Equatable {
    /// Seconds without a byte from or to the child before it is given up.
    public var stallSeconds: Double
    /// Seconds for the whole clip.
    public var totalSeconds: Double
    /// Seconds of processor time.
    public var processorSeconds: Int
    /// Bytes of address space at most; a process gets less where its pictures need less.
    public var memoryBytes: Int
    /// Bytes of a written file.
    public var fileBytes: Int

    public init(
      stallSeconds: Double = 60, totalSeconds: Double = 14_400, processorSeconds: Int = 14_400,
      memoryBytes: Int = 4 << 30,
      fileBytes: Int = 16 << 30
    ) {
      self.stallSeconds = stallSeconds
      self.totalSeconds = totalSeconds
      self.processorSeconds = processorSeconds
      self.memoryBytes = memoryBytes
      self.fileBytes = fileBytes
    }
  }

  public init(program: URL, limits: Limits = Limits()) {
    self.program = program
    self.limits = limits
  }

  /// `VideoDecoder.decode` in a child process, of a file opened by `openVideo`. What the child
  /// sends is checked against `options`.
  /// - Parameter isCancelled: asked several times a second while waiting.
  /// - Throws: `VideoFileError`; `CancellationError` when `isCancelled` has said so.
  public func decode(
    path: String, options: DecodingOptions, isCancelled: @Sendable () -> Bool = { false }
  ) throws -> VideoClip {
    VideoClip(
      try decode(path: path, options: options, into: { FrameArray() }, isCancelled: isCancelled))
  }

  /// The same for a clip of any length.
  /// - Parameter folder: where there is room for its frames.
  public func decode(
    path: String, options: DecodingOptions, storedIn folder: String,
    isCancelled: @Sendable () -> Bool = { false }
  ) throws -> StoredClip {
    StoredClip(
      try decode(
        path: path, options: options, into: { try FrameFile(folder: folder) },
        isCancelled: isCancelled))
  }

  private func decode<Store: FrameStore>(
    path: String, options: DecodingOptions, into store: () throws -> Store,
    isCancelled: @Sendable () -> Bool
  ) throws -> CollectedClip<Store> {
    let file = try openVideo(path: path)
    return try naming(file.name) {
      try withoutActuallyEscaping(isCancelled) { isCancelled in
        let request = VideoChild.Request(
          parent: getpid(), limits: limits.narrowed(toDecode: options), job: .decode(options))
        let child = try start(
          VideoChild.decodeCommand, request, .reads(descriptor: file.descriptor), isCancelled)
        return try watching(child, .decoding) {
          var collector = ClipCollector(options: options, store: try store())
          do {
            try FrameStreamReader(receive: child.receive).copy(to: &collector)
          } catch is FrameStreamReader.Incomplete {
            throw try failure(of: child, .decoding)
          }
          // Whatever the child does after the trailer changes nothing.
          child.kill()
          return try collector.clip()
        }
      }
    }
  }

  /// `VideoEncoder.encode` in a child process, to a file at `path` that must not exist yet; it is
  /// removed again where writing fails. Syncing it is the caller's business.
  ///
  /// The child also reads the file whose sound the options ask for. What is wrong with that costs
  /// the sound, never the video, unless the process did what only an attacker does.
  /// - Returns: what a person should know about how it was written, a sentence each.
  /// - Throws: `VideoFileError`; `CancellationError` when `isCancelled` has said so.
  @discardableResult
  public func encode(
    _ clip: some Movie, to path: String, options: EncodingOptions = EncodingOptions(),
    isCancelled: @Sendable () -> Bool = { false }
  ) throws -> [String] {
    var silent = options
    silent.sound = nil
    guard let sound = options.sound, !options.format.isStill else {
      return try encode(clip, to: path, options: silent, sound: nil, isCancelled)
    }
    do {
      let file = try openVideo(path: sound.path)
      return try encode(
        clip, to: path, options: options, sound: file.descriptor, isCancelled)
    } catch var error as VideoFileError where error.isTheSounds(of: sound.path) {
      error.name = sound.name ?? error.name
      return try encode(clip, to: path, options: silent, sound: nil, isCancelled) + [
        "The sound is left out: \(error)."
      ]
    }
  }

  private func encode(
    _ clip: some Movie, to path: String, options: EncodingOptions, sound: Int32?,
    _ isCancelled: @Sendable () -> Bool
  ) throws -> [String] {
    let file = try createVideo(path: path)
    do {
      return try naming(file.name) {
        let timing = try clip.timing(for: options)
        return try withoutActuallyEscaping(isCancelled) { isCancelled in
          let request = VideoChild.Request(
            parent: getpid(), limits: limits.narrowed(toEncode: clip, as: options),
            job: .encode(options.withoutPaths))
          let child = try start(
            VideoChild.encodeCommand, request,
            .writes(descriptor: file.descriptor, sound: sound), isCancelled)
          return try watching(child, .encoding) {
            do {
              var writer = FrameStreamWriter(send: child.send)
              try clip.write(to: &writer, timing: timing)
              child.endSending()
            } catch is ChildProgram.Closed {
              throw try failure(of: child, .encoding)
            }
            guard try child.waitForExit() == .status(0) else {
              throw try failure(of: child, .encoding)
            }
            let prefix = VideoChild.notePrefix
            return child.lines.filter { $0.hasPrefix(prefix) }.map {
              String($0.dropFirst(prefix.count))
            }
          }
        }
      }
    } catch {
      unlink(path)
      throw error
    }
  }

  // MARK: The child

  private enum Job {
    case decoding, encoding

    var agent: String { self == .decoding ? "decoder" : "encoder" }
    var failed: String { self == .decoding ? "was not decoded" : "was not written" }
  }

  private func start(
    _ command: String, _ request: VideoChild.Request, _ wiring: ChildProgram.Wiring,
    _ isCancelled: @escaping () -> Bool
  ) throws -> ChildProgram {
    let patience = ChildProgram.Patience(
      stall: .seconds(limits.stallSeconds), total: .seconds(limits.totalSeconds),
      isCancelled: isCancelled)
    return try ChildProgram(
      program: program.path, arguments: [command, try request.argument()], wiring: wiring,
      patience: patience)
  }

  private func watching<Result>(_ child: ChildProgram, _ job: Job, _ body: () throws -> Result)
    throws -> Result
  {
    defer { child.kill() }
    do {
      return try body()
    } catch let stalled as ChildProgram.Stalled {
      let seconds = String(format: "%g", stalled.after / .seconds(1))
      throw VideoFailure(
        .stalled, "\(job.failed): the \(job.agent) gave no sign of life for \(seconds) s")
    }
  }

  /// Why a child that stopped has stopped.
  private func failure(of child: ChildProgram, _ job: Job) throws -> VideoFailure {
    switch try child.waitForExit() {
    case .signal(SIGXCPU):
      return VideoFailure(
        .limit,
        "\(job.failed): the \(job.agent) took more than \(limits.processorSeconds) s of processor time"
      )
    case .signal(SIGXFSZ):
      return VideoFailure(
        .limit, "\(job.failed): the file would have more than \(limits.fileBytes) bytes")
    case .signal(SIGKILL):
      return VideoFailure(
        .resources,
        "\(job.failed): the \(job.agent) was killed (signal 9), perhaps because memory ran out")
    case .signal(SIGSYS):
      return suspicion(job, nil)
    case .signal(let signal):
      return VideoFailure(
        .crashed,
        "\(job.failed): the \(job.agent) crashed on it (signal \(signal), \(String(cString: strsignal(signal))))"
      )
    case .status(VideoChild.status(of: .suspicious)):
      return suspicion(job, SystemCallFilter.name(inReport: child.lastWords))
    case .status(let status):
      if let kind = VideoChild.kind(ofStatus: status), !child.lastWords.isEmpty {
        return VideoFailure(kind, child.lastWords)
      }
      let words = child.lastWords.isEmpty ? "" : ": \(child.lastWords)"
      return VideoFailure(
        .crashed, "\(job.failed): the \(job.agent) ended early with status \(status)\(words)")
    case .unknown:
      return VideoFailure(.crashed, "\(job.failed): the \(job.agent) ended early")
    }
  }

  private func suspicion(_ job: Job, _ call: String?) -> VideoFailure {
    let what = call.map { "the system call \($0)" } ?? "a system call that it may not make"
    return VideoFailure(
      .suspicious,
      "\(job.failed): the \(job.agent) tried something that a video must not need, \(what), and was stopped; the file is suspicious"
    )
  }
}

extension VideoFileError {
  /// Whether a video may come about without the sound of that file.
  fileprivate func isTheSounds(of path: String) -> Bool {
    switch kind {
    // What is wrong with the video itself or with its disk is so without sound, too.
    case .input, .resources: name == (path as NSString).lastPathComponent
    case .limit, .crashed, .stalled: true
    case .suspicious: false
    }
  }
}

extension EncodingOptions {
  /// The child gets descriptors, and no path.
  fileprivate var withoutPaths: EncodingOptions {
    var options = self
    options.sound?.path = ""
    return options
  }
}
