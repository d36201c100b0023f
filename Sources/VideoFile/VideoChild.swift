import Foundation

/// The child's side of `VideoProcess`.
///
/// Descriptor 0 is the video file (decoding) or the frames (encoding), 1 the frames or the file to
/// write, 2 takes a sentence that says what went wrong, without its subject, the file's name, and 3
/// is the file whose sound is to be written, if there is one. The exit status says of what kind it
/// is; where nothing went wrong, the sentences after `notePrefix` are what a person should know.
public enum VideoChild {
  static let decodeCommand = "decode-video"
  static let encodeCommand = "encode-video"

  static let soundDescriptor: Int32 = 3
  /// Tells what the child says of the clip from what a library says.
  static let notePrefix = "note: "

  /// First arguments that are for `run`.
  public static let commands = [decodeCommand, encodeCommand]

  /// Does one clip, and returns the process's exit status. `arguments` begins with one of
  /// `commands`. Call it as the first thing in the process: it gives up whatever the job does not
  /// need.
  public static func run(arguments: [String]) -> Int32 {
    run(arguments: arguments) { request in
      switch request.job {
      case .decode(let options): try decode(options)
      case .encode(let options): try encode(options)
      }
    }
  }

  /// With something else in the place of libav: for programs that try what a video must not be able
  /// to.
  package static func run(arguments: [String], instead attempt: () throws -> Void) -> Int32 {
    run(arguments: arguments) { _ in try attempt() }
  }

  private static func run(arguments: [String], _ perform: (Request) throws -> Void) -> Int32 {
    do {
      guard arguments.count == 2,
        let request = try? JSONDecoder().decode(Request.self, from: Data(arguments[1].utf8))
      else {
        throw VideoFailure(
          .crashed,
          "was not touched: \(commands.joined(separator: " and ")) are for stemd's own use, and take one argument"
        )
      }
      guard arguments[0] == request.job.command else {
        throw VideoFailure(
          .crashed, "was not touched: \(arguments[0]) does not go with these options")
      }
      try Confinement(
        limits: request.limits, parent: request.parent, writesFile: request.job.writesFile,
        descriptors: request.job.readsSound ? 4 : 3
      ).enter()
      try perform(request)
      return 0
    } catch let failure as VideoFailure {
      say(failure.problem)
      return status(of: failure.kind)
    } catch {
      say("was not touched: \(error)")
      return status(of: .crashed)
    }
  }

  /// What the parent asks for; travels as the second argument.
  struct Request: Codable {
    /// The parent's process identifier.
    var parent: Int32
    var limits: VideoProcess.Limits
    var job: Job

    func argument() throws -> String {
      String(decoding: try JSONEncoder().encode(self), as: UTF8.self)
    }
  }

  enum Job: Codable {
    case decode(DecodingOptions)
    case encode(EncodingOptions)

    var command: String { writesFile ? encodeCommand : decodeCommand }

    var writesFile: Bool {
      switch self {
      case .decode: false
      case .encode: true
      }
    }

    var readsSound: Bool {
      switch self {
      case .decode: false
      case .encode(let options): options.sound != nil
      }
    }
  }

  /// Far from the statuses that shells and runtimes use.
  private static let firstStatus: Int32 = 64

  static func status(of kind: VideoFileError.Kind) -> Int32 {
    firstStatus + Int32(VideoFileError.Kind.allCases.firstIndex(of: kind) ?? 0)
  }

  static func kind(ofStatus status: Int32) -> VideoFileError.Kind? {
    let index = Int(status - firstStatus)
    return VideoFileError.Kind.allCases.indices.contains(index)
      ? VideoFileError.Kind.allCases[index] : nil
  }

  private static func decode(_ options: DecodingOptions) throws {
    var writer = FrameStreamWriter { try writeAll($0, to: STDOUT_FILENO) }
    try VideoDecoder.decode(
      descriptor: STDIN_FILENO, options: options, into: &writer, life: SignOfLife { say("\n") })
  }

  private static func encode(_ options: EncodingOptions) throws {
    try LibAVLog.listening {
      let frames = FrameStreamReader { try readAll($0, from: STDIN_FILENO) }
      do {
        if options.format.isStill {
          var writer = try PictureWriter(descriptor: STDOUT_FILENO, options: options)
          try frames.copy(to: &writer)
        } else {
          var writer = try MovieWriter(
            descriptor: STDOUT_FILENO, options: options,
            sound: options.sound == nil ? nil : soundDescriptor, life: SignOfLife { say("\n") })
          try frames.copy(to: &writer)
          for warning in writer.warnings { say(notePrefix + warning + "\n") }
        }
      } catch is FrameStreamReader.Incomplete {
        throw VideoFailure(.crashed, "was not written: its frames ended early")
      }
    }
  }

  private static func say(_ sentence: String) {
    // Nobody is left to tell where this fails.
    try? Array(sentence.utf8).withUnsafeBytes { try writeAll($0, to: STDERR_FILENO) }
  }

  private static func writeAll(_ buffer: UnsafeRawBufferPointer, to descriptor: Int32) throws {
    var count = 0
    while count < buffer.count {
      let put = write(descriptor, buffer.baseAddress! + count, buffer.count - count)
      if put > 0 {
        count += put
      } else if put == 0 || errno != EINTR {
        throw VideoFailure(.crashed, "was not decoded: nobody takes its frames")
      }
    }
  }

  private static func readAll(_ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32)
    throws -> Int
  {
    var count = 0
    while count < buffer.count {
      let got = read(descriptor, buffer.baseAddress! + count, buffer.count - count)
      if got > 0 {
        count += got
      } else if got == 0 || errno != EINTR {
        return count
      }
    }
    return count
  }
}
