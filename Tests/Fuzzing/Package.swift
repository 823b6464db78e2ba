// swift-tools-version: 6.2
import PackageDescription

// Built by scripts/fuzz.sh, with libFuzzer, whose `main` this program has: by itself it does not link.
let package = Package(
  name: "Fuzzing",
  dependencies: [.package(name: "Headwater", path: "../..")],
  targets: [
    .executableTarget(
      name: "Fuzzing",
      dependencies: [
        .product(name: "Headwater", package: "Headwater"),
        .product(name: "HeadwaterMesh", package: "Headwater"),
        .product(name: "HeadwaterSync", package: "Headwater"),
      ],
      // The decoders of frames are nobody's but the mesh's.
      swiftSettings: [.unsafeFlags(["-parse-as-library"])])
  ],
  swiftLanguageModes: [.v6]
)
