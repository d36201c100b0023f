/// Of the three programs, which belong together.
public enum ProgramVersion {
  public static let text = "0.1.0"
}
