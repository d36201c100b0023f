// swift-tools-version: 6.1
import PackageDescription

/// A C library of the system: a module map (and at most one shim header) under Sources/, found by
/// pkg-config where it has a file for it.
func system(_ name: String, pkgConfig: String? = nil, package: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

/// OpenCV's headers include each other from here, and its pkg-config file would link all of it.
let openCVHeaders = [CXXSetting.unsafeFlags(["-isystem", "/usr/include/opencv4"])]

let package = Package(
  name: "stemd",
  products: [
    .executable(name: "stemd", targets: ["stemd"]),
    .executable(name: "stem-worker", targets: ["stem-worker"]),
    .executable(name: "stemctl", targets: ["stemctl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
  ],
  targets: [
    // The C libraries.
    system("COneDNN", package: "libdnnl-dev"),
    // Without pkg-config, which would have x86-64 load what it does not use.
    system("COpenBLAS", package: "libopenblas-openmp-dev"),
    system("COpenMP", package: "libgomp1"),
    system("CCrypto", pkgConfig: "libcrypto", package: "libssl-dev"),
    system("CSeccomp", pkgConfig: "libseccomp", package: "libseccomp-dev"),
    system("CLibAV", pkgConfig: "libavformat", package: "libavformat-dev"),
    system("CZeroMQ", package: "libzmq3-dev"),
    system("CSystemd", pkgConfig: "libsystemd", package: "libsystemd-dev"),
    // Without pkg-config, whose flags SwiftPM warns of.
    system("CUTF8Proc", package: "libutf8proc-dev"),
    system("CLinux", package: "libc6-dev"),
    // Not a library: what takes the place of the C library's accept.
    .target(name: "CConnectionCeiling"),
    // Not a library either: Landlock, and what a signal handler may do.
    .target(name: "CConfinement"),
    // The engine's innermost loops.
    .target(name: "CKernels", dependencies: ["COneDNN"]),
    // What of OpenCV is linked, where it is installed.
    system("COpenCV", package: "libopencv-video-dev"),
    // Its optical flow in C, or the news that it is not there; and its letters, for names above clips.
    .target(name: "COpticalFlow", dependencies: ["COpenCV"], cxxSettings: openCVHeaders),
    .target(name: "CPictureText", dependencies: ["COpenCV"], cxxSettings: openCVHeaders),
    // The merges of CLIP's vocabulary.
    .target(name: "CCLIPMerges"),

    // What the project exists for; each imports only from above itself.
    .target(name: "EditSettings"),
    .target(
      name: "EditReport",
      dependencies: ["EditSettings", .product(name: "Mustache", package: "swift-mustache")],
      resources: [
        .embedInCode("Page/report.css"), .embedInCode("Page/report.js"),
        .embedInCode("Page/report.mustache"),
      ]),
    .target(
      name: "Tensor",
      dependencies: ["CKernels", "CLinux", "COneDNN", "COpenBLAS", "COpenMP", "CCrypto"]),
    .target(
      name: "StableDiffusion", dependencies: ["CCLIPMerges", "CUTF8Proc", "Tensor", "Yams"]),
    .target(
      name: "VideoEditing",
      dependencies: ["COpticalFlow", "StableDiffusion", "Tensor", "EditSettings"]),
    .target(name: "VideoFile", dependencies: ["CConfinement", "CLibAV", "CLinux", "CSeccomp"]),
    .target(
      name: "ClipEdit",
      dependencies: [
        "CPictureText", "EditReport", "VideoEditing", "VideoFile", "StableDiffusion", "Tensor",
        "EditSettings",
      ]),
    .target(name: "Journal", dependencies: ["CLinux", "CSystemd", logging]),
    .target(
      name: "JobQueue",
      dependencies: [
        "CLinux", "EditReport", "EditSettings", .product(name: "GRDB", package: "GRDB.swift"),
        "Yams",
      ]),
    .target(name: "ServiceConfiguration", dependencies: ["EditSettings", "JobQueue", "Yams"]),
    .target(
      name: "Messaging",
      dependencies: [
        "CConnectionCeiling", "CLinux", "CZeroMQ", "EditSettings", "JobQueue",
        "ServiceConfiguration", logging,
      ]),

    // The programs.
    .executableTarget(
      name: "stemd",
      dependencies: [
        "EditSettings", "JobQueue", "Messaging", "ServiceConfiguration", "Journal", "CLinux",
        "CSystemd", argumentParser, logging,
      ]),
    .executableTarget(
      name: "stem-worker",
      dependencies: [
        "ClipEdit", "EditReport", "StableDiffusion", "Tensor", "VideoFile", "JobQueue", "Messaging",
        "Journal",
        "CLinux", argumentParser, logging,
      ]),
    .executableTarget(
      name: "stemctl",
      dependencies: [
        "ClipEdit", "EditReport", "EditSettings", "VideoEditing", "StableDiffusion", "Tensor",
        "VideoFile",
        "JobQueue", "Messaging", "ServiceConfiguration", "Journal", "CKernels", "COneDNN",
        "CUTF8Proc", argumentParser,
      ]),

    // What `make bench` times.
    .executableTarget(
      name: "stem-bench",
      dependencies: ["VideoEditing", "StableDiffusion", "Tensor", argumentParser],
      path: "Benchmarks/StemBench"),

    .testTarget(name: "TensorTests", dependencies: ["CKernels", "Tensor", "stemctl"]),
    .testTarget(
      name: "StableDiffusionTests", dependencies: ["StableDiffusion"], exclude: ["Goldens"]),
    .testTarget(name: "VideoEditingTests", dependencies: ["VideoEditing"], exclude: ["Goldens"]),
    .testTarget(
      name: "ClipEditTests",
      dependencies: [
        "ClipEdit", "EditSettings", "StableDiffusion", "Tensor", "VideoEditing", "VideoFile",
        "stem-worker", "stemctl",
      ]),
    .testTarget(name: "EditReportTests", dependencies: ["EditReport", "EditSettings"]),
    .testTarget(
      name: "VideoFileTests",
      dependencies: ["CLinux", "VideoFile", "stem-worker", "confinement-probe"]),
    // A program for the tests: what a hostile video may have made of the process that opens it.
    .executableTarget(
      name: "confinement-probe", dependencies: ["CLinux", "CSeccomp", "VideoFile"],
      path: "Tests/ConfinementProbe"),
    .testTarget(
      name: "JobQueueTests",
      dependencies: [
        "JobQueue", "EditSettings", "CLinux", .product(name: "GRDB", package: "GRDB.swift"),
      ]),
    .testTarget(
      name: "ServiceConfigurationTests",
      dependencies: ["EditSettings", "ServiceConfiguration", "Yams"]),
    .testTarget(
      name: "MessagingTests",
      dependencies: [
        "Messaging", "Journal", "ServiceConfiguration", "stemd", "stem-worker", "stemctl",
        "echo-router", "last-words", logging,
      ]),
    .testTarget(
      name: "StemctlTests",
      dependencies: [
        "EditSettings", "JobQueue", "Messaging", "stemctl", "stemd", "stem-worker",
      ]),
    // A program for the tests: a socket in a process that may die.
    .executableTarget(
      name: "echo-router", dependencies: ["Messaging", "CLinux"], path: "Tests/EchoRouter"),
    // Another one: says what libraries say, and crashes.
    .executableTarget(
      name: "last-words", dependencies: ["Journal", logging], path: "Tests/LastWords"),
    .testTarget(
      name: "ServiceTests",
      dependencies: [
        "JobQueue", "Journal", "Messaging", "ServiceConfiguration", "VideoFile", "stemd",
        "stem-worker", "stemctl", "confinement-probe",
      ]),
  ],
  swiftLanguageModes: [.v6], cxxLanguageStandard: .cxx17
)
