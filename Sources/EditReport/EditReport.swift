import EditSettings
import Foundation

/// What `report.html` tells of one job: plain texts, whoever wrote them, and pictures and videos as
/// the bytes of their files.
public struct EditReport: Sendable {
  /// What it is called in a job's folder, and what lies beside it.
  public static let fileName = "report.html"
  public static let comparisonName = "comparison.mp4"
  public static let posterName = "poster.png"
  /// All that is put beside an edit.
  public static let fileNames = [fileName, comparisonName, posterName]

  public enum Outcome: Sendable, Equatable {
    case done
    /// - Parameters:
    ///   - place: how far it came.
    ///   - advice: what to do, a sentence each.
    case cancelled(place: String? = nil, advice: [String] = [])
    /// - Parameters:
    ///   - reason: a sentence.
    ///   - place: how far it came.
    ///   - advice: what to do, a sentence each.
    case failed(reason: String, place: String? = nil, advice: [String] = [])
  }

  /// A name, and what it stands for.
  public struct Fact: Sendable, Equatable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
  }

  /// A short clip that plays in the page.
  public struct Clip: Sendable {
    public enum Role: String, Sendable, CaseIterable {
      case source, reconstruction, edit
    }

    public var role: Role
    /// An mp4 file that browsers play.
    public var movie: Data

    public init(_ role: Role, movie: Data) { (self.role, self.movie) = (role, movie) }
  }

  /// The clips in step: all of one size, with frames at the same times.
  public struct Player: Sendable {
    public var clips: [Clip]
    public var size: FrameSize
    /// Seconds from the start at which each frame appears, and last the end of the last one.
    public var times: [Double]
    /// What is not shown of the clip: a sentence, where the page has not all of it.
    public var isSampled: String?

    public init(clips: [Clip], size: FrameSize, times: [Double], isSampled: String? = nil) {
      (self.clips, self.size, self.times, self.isSampled) = (clips, size, times, isSampled)
    }
  }

  /// A still picture.
  public struct Picture: Sendable {
    /// A JPEG or PNG file.
    public var bytes: Data
    public var size: FrameSize
    /// What it is.
    public var label: String
    /// What it shows, for whoever cannot see it.
    public var description: String

    public init(_ bytes: Data, size: FrameSize, label: String, description: String) {
      (self.bytes, self.size, self.label, self.description) = (bytes, size, label, description)
    }
  }

  public var title: String
  public var outcome: Outcome
  /// What was asked for; `nil` where nobody knows, as the sidecar could not be read.
  public var settings: EditSettings?
  /// Every setting by its name, but for the texts.
  public var facts: [Fact] = []
  /// The sidecar that asks for the same again.
  public var sidecar: String?
  public var figures: EditFigures?
  public var curves: [MeasureCurve] = []
  /// Why something was not measured, a sentence each.
  public var omissions: [String] = []
  /// What the person who sent the clip should know, a sentence each.
  public var notes: [String] = []
  public var player: Player?
  public var strips: [Picture] = []
  public var features: Picture?
  /// The last lines of its log.
  public var log: String?
  /// Program, model and machine.
  public var origin: [Fact] = []

  public init(title: String, outcome: Outcome = .done, settings: EditSettings?) {
    (self.title, self.outcome, self.settings) = (title, outcome, settings)
  }
}
