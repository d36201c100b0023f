/// Of all programs here, which are always installed together.
public enum ProgramVersion {
  public static let text = "0.1.0"
}
