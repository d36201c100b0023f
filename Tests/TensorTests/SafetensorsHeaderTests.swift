import Foundation
import Testing

@testable import Tensor

/// What the reference implementation (safetensors 0.8) accepts and refuses, and two names alike,
/// which it lets pass.
@Suite struct SafetensorsHeaderTests {
  private static let x = #""dtype":"F32","shape":[2],"data_offsets":[0,8]"#

  private func read(_ json: some Sequence<UInt8>, bytes: Int = 8) throws -> SafetensorsHeader {
    try Array(json).withUnsafeBytes { try SafetensorsHeader($0, dataBytes: bytes) }
  }

  @Test(
    "what the format allows is read",
    arguments: [
      (#"{"x":{\#(x)}}"#, 8), (#" {"x" : {\#(x)} }  \#n\#t\#r"#, 8), ("{}", 0),
      (#"{"__metadata__":null,"x":{\#(x)}}"#, 8),
      (#"{"x":{\#(x),"extra":[[{}],{"a":[1,-2.5e+3,true,null,"\\"]}]}}"#, 8),
      (#"{"x":{\#(x),"extra":\#(nested(120))}}"#, 8),
      (#"{"x\ud83d\ude00\u0000":{\#(x)}}"#, 8), (#"{"":{\#(x)}}"#, 8),
      (#"{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, 4),
      (#"{"x":{"dtype":"F4","shape":[2,8],"data_offsets":[0,8]}}"#, 8),
      (
        #"{"y":{"dtype":"U8","shape":[0,3],"data_offsets":[8,8]},"x":{\#(x)},"z":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
        8
      ),
    ])
  func allowed(json: String, bytes: Int) throws {
    _ = try read(json.utf8, bytes: bytes)
  }

  @Test("escapes stand for what JSON says, and metadata are kept")
  func escapes() throws {
    let header = try read(
      #"{"__metadata__":{"a\"\\\/\b\f\n\r\t\u00e9":"日本\ud83d\ude00"},"x":{\#(Self.x)}}"#.utf8)
    #expect(header.metadata == ["a\"\\/\u{8}\u{c}\n\r\té": "日本😀"])
    #expect(header.entries["x"]?.range == 0..<8 && header.entries["x"]?.shape == [2])
  }

  @Test(
    "what it does not is refused, with the tensor's name where there is one",
    arguments: [
      ("", 0, "empty"), (" ", 0, "'{'"), ("null", 0, "'{'"), ("[]", 0, "'{'"), ("{", 0, #"'"'"#),
      (#"{"x""#, 0, "':'"), (#"{"x":{\#(x)}"#, 8, "'}'"), (#"{"x":{\#(x)},}"#, 8, #"'"'"#),
      (#"{"x":{\#(x)}}{"#, 8, "goes on"), (#"{"x":{\#(x)}}\#0"#, 8, "goes on"),
      (#"{"x":["F32",[2],[0,8]]}"#, 8, "'x'"), (#"{"x":\#(nested(100_000))}"#, 8, "'x'"),
      (#"{"x":{\#(x),"extra":\#(nested(100_000))}}"#, 8, "nested"),
      (#"{"x":{\#(x),"extra":\#(String(repeating: #"{"a":"#, count: 100_000))1}}"#, 8, "nested"),
      (#"{"__metadata__":{"a":1},"x":{\#(x)}}"#, 8, #"'"'"#),
      (#"{"__metadata__":[],"x":{\#(x)}}"#, 8, "'{'"),
      (#"{"__metadata__":{},"__metadata__":{},"x":{\#(x)}}"#, 8, "twice"),
      (#"{"x":{\#(x)},"x":{\#(x)}}"#, 8, "'x' twice"),
      (#"{"x":{\#(x)},"\u0078":{\#(x)}}"#, 8, "'x' twice"),
      (#"{"x":{\#(x),"shape":[2]}}"#, 8, "'shape' stands there twice"),
      (#"{"x":{"dtype":"F32","shape":[2]}}"#, 8, "'x'"),
      (#"{"x":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}"#, 8, "'Q4'"),
      (#"{"x":{"dtype":4,"shape":[2],"data_offsets":[0,8]}}"#, 8, "'x'"),
      (#"{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[true,2],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "whole number"),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}"#, 8, "whole number"),
      (
        #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775808]}}"#, 8, "too large"
      ),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]}}"#, 8, "span"),
      (
        #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775799,9223372036854775807]}}"#,
        8, "'x'"
      ),
      (#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8, "shape"),
      (
        #"{"x":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, "shape"
      ),
      (#"{"x":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#, 1, "shape"),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, 8, "'x'"),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8, "'x'"),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[]}}"#, 8, "'x'"),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "'x'"),
      (#"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "'x'"),
      (#"{"x":{\#(x)}}"#, 4, "'x' would end"), (#"{"x":{\#(x)}}"#, 12, "4 bytes at its end"),
      (
        #"{"x":{\#(x)},"y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12,
        "'y' overlaps"
      ),
      (
        #"{"x":{\#(x)},"y":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8, "'y' overlaps"
      ),
      (
        #"{"x":{\#(x)},"y":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}"#, 20,
        "'y' are 4 bytes of no tensor"
      ),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "'x' are 4 bytes"),
      (#"{"x\ud800":{\#(x)}}"#, 8, "backslash"), (#"{"\udc00\ud800":{\#(x)}}"#, 8, "backslash"),
      (#"{"\ud800\u0041":{\#(x)}}"#, 8, "backslash"), (#"{"\x41":{\#(x)}}"#, 8, "backslash"),
      (#"{"\u+041":{\#(x)}}"#, 8, "backslash"), (#"{"\u00"#, 8, "backslash"),
      (#"{"x\#u{1}":{\#(x)}}"#, 8, "not closed"), (#"{"xyz"#, 8, "not closed"),
      (#"{"x":{\#(x),"a":01}}"#, 8, "no value"), (#"{"x":{\#(x),"a":1.}}"#, 8, "no value"),
      (#"{"x":{\#(x),"a":-}}"#, 8, "no value"), (#"{"x":{\#(x),"a":1e}}"#, 8, "no value"),
      (#"{"x":{\#(x),"a":nul}}"#, 8, "no value"), (#"{"x":{\#(x),"a":[1,]}}"#, 8, "no value"),
      (#"{"x":{\#(x),"a":{"b"}}}"#, 8, "':'"), (#"{"x":{\#(x),"a":[1}}}"#, 8, "']'"),
    ])
  func refused(json: String, bytes: Int, part: String) throws {
    let fault = #expect(throws: SafetensorsFault.self) { try read(json.utf8, bytes: bytes) }
    #expect(fault?.reason.contains(part) == true, "\(fault?.reason ?? "")")
    #expect((fault?.reason.utf8.count ?? 0) < 2000)
  }

  @Test("what is no UTF-8 is refused")
  func noText() {
    for bytes: [UInt8] in [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]] {
      let json = Array(#"{""#.utf8) + bytes + Array(#"":{\#(Self.x)}}"#.utf8)
      #expect(throws: SafetensorsFault.self) { try read(json) }
    }
  }

  @Test("a name that is no good on a terminal is shown so that it is")
  func hostileNames() throws {
    let name = #"\u001b[31m"# + String(repeating: "x", count: 1000)
    let fault = #expect(throws: SafetensorsFault.self) {
      try read(#"{"\#(name)":{\#(Self.x)}}"#.utf8, bytes: 4)
    }
    let reason = try #require(fault?.reason)
    #expect(reason.contains(#"'\u{1b}[31mxxx"#) && reason.contains("…'") && reason.count < 400)
  }

  @Test("nesting takes no stack", .timeLimit(.minutes(1)))
  func smallStack() throws {
    let json = Array(#"{"x":{\#(Self.x),"extra":\#(nested(1_000_000))}}"#.utf8)
    nonisolated(unsafe) var reason: String?
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      json.withUnsafeBytes { bytes in
        do { _ = try SafetensorsHeader(bytes, dataBytes: 8) } catch {
          reason = (error as? SafetensorsFault)?.reason
        }
      }
      done.signal()
    }
    // Far below what a million calls take; libraries' thread-local storage is in there as well.
    thread.stackSize = 1 << 20
    thread.start()
    done.wait()
    #expect(reason?.contains("nested") == true)
  }
}

private func nested(_ depth: Int) -> String {
  String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
}
