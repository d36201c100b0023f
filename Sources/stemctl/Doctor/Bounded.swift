import Foundation
import JobQueue
import Synchronization

/// What `body` returns on a thread of its own; `nil` where it takes longer. The thread is then left
/// to itself, with whatever it hangs on.
func bounded<Value: Sendable>(
  seconds: Double, _ body: @escaping @Sendable () -> Value
) -> Value? {
  let box = Box<Value>()
  let thread = Thread {
    let value = body()
    box.value.withLock { $0 = value }
    box.isFull.signal()
  }
  thread.stackSize = 8 << 20
  thread.start()
  _ = box.isFull.wait(timeout: .now() + seconds)
  return box.value.withLock { $0 }
}

private final class Box<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
  let isFull = DispatchSemaphore(value: 0)
}

/// A file of /proc, which says of itself that it is empty and comes in pieces; empty where it is not
/// there.
func kernelText(_ path: String) -> String {
  String(decoding: (try? FileSystem.read(path, limit: 8 << 20)) ?? [], as: UTF8.self)
}

/// What a program of the system prints; `nil` where it is missing, fails to start or takes longer.
func output(of program: String, _ arguments: [String], seconds: Double = 5) -> String? {
  let process = Process()
  process.executableURL = URL(filePath: program)
  process.arguments = arguments
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = FileHandle.nullDevice
  process.standardInput = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return nil }
  let reader = pipe.fileHandleForReading
  let pid = process.processIdentifier
  let text = bounded(seconds: seconds) {
    String(decoding: (try? reader.readToEnd()) ?? Data(), as: UTF8.self)
  }
  if text == nil { kill(pid, SIGKILL) }
  return text
}
