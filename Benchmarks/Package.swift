// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Benchmarks",
  dependencies: [
    .package(name: "Headwater", path: ".."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
  ],
  targets: [
    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        .product(name: "Headwater", package: "Headwater"),
        .product(name: "HeadwaterDocuments", package: "Headwater"),
        .product(name: "HeadwaterMongoDB", package: "Headwater"),
        .product(name: "HeadwaterMesh", package: "Headwater"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "HeadwaterSQLite", package: "Headwater"),
        .product(name: "HeadwaterSync", package: "Headwater"),
        .product(name: "HeadwaterPostgres", package: "Headwater"),
        .product(name: "SQLiteDriver", package: "Headwater"),
      ])
  ],
  swiftLanguageModes: [.v6]
)
