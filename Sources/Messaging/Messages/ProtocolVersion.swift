import Foundation

/// The first frame of every message.
public enum ProtocolVersion {
  public static let frame = Data("stemd/1".utf8)
}
