/// What the name of a file in the inbox says: a clip, a sidecar, which clip it belongs to, or
/// nothing yet.
public struct DroppedName: Sendable {
  /// The name without its last extension.
  public let stem: String
  /// The last extension as it is written, without its dot; empty where there is none.
  public let fileExtension: String
  /// For `clip.2` the stem `clip`: what a further edit's sidecar calls its clip. `nil` unless the
  /// stem ends in a number from 2 up.
  public let furtherEditOf: String?
  /// The number of that edit; 1 for a name without one.
  public let editNumber: Int

  public static let sidecarExtensions = ["yaml", "yml", "json", "txt"]

  public init(_ name: String) {
    (stem, fileExtension) = Self.split(name)
    let (base, ending) = Self.split(stem)
    if !base.isEmpty, ending.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      ending.utf8.first != 0x30, let number = Int(ending),
      number >= 2
    {
      furtherEditOf = base
      editNumber = number
    } else {
      furtherEditOf = nil
      editNumber = 1
    }
  }

  public var isSidecar: Bool { Self.sidecarExtensions.contains(fileExtension.lowercased()) }

  /// Whether a name says that its file is not finished: dot-files and what browsers, editors and
  /// transfer programs use meanwhile.
  public static func isTemporary(_ name: String) -> Bool {
    let temporaryEndings = [".part", ".tmp", ".crdownload", "~", ".filepart", ".swp"]
    let lowercased = name.lowercased()
    return name.utf8.first == 0x2e || temporaryEndings.contains { lowercased.hasSuffix($0) }
  }

  private static func split(_ name: String) -> (String, String) {
    // On bytes: a dot followed by a combining mark is one Character, which is not ".".
    guard let dot = name.utf8.lastIndex(of: 0x2e), dot != name.startIndex else { return (name, "") }
    return (String(name[..<dot]), String(name[name.utf8.index(after: dot)...]))
  }
}
