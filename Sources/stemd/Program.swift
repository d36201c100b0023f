import Foundation

/// This program's own executable.
enum Program {
    /// The folder that it lies in, links resolved, without a slash at its end.
    static var folder: String {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (path as NSString).deletingLastPathComponent
    }
}
