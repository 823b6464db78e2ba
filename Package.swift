// swift-tools-version: 6.2
import PackageDescription

// In CI a warning is an error; on a contributor's machine it is a warning.
let strict: [SwiftSetting] =
  Context.environment["CI"] == "true" ? [.treatAllWarnings(as: .error)] : []

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

// The network of the mesh, and nothing else, is built on these two.
let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
  name: "Headwater",
  products: [
    .library(name: "Headwater", targets: ["Headwater"]),
    .library(name: "HeadwaterModel", targets: ["HeadwaterModel"]),
    .library(name: "HeadwaterStream", targets: ["HeadwaterStream"]),
    .library(name: "HeadwaterRelational", targets: ["HeadwaterRelational"]),
    .library(name: "HeadwaterSync", targets: ["HeadwaterSync"]),
    .library(name: "HeadwaterMesh", targets: ["HeadwaterMesh"]),
    .library(name: "HeadwaterMemory", targets: ["HeadwaterMemory"]),
    .library(name: "HeadwaterSQLite", targets: ["HeadwaterSQLite"]),
    .library(name: "HeadwaterDocuments", targets: ["HeadwaterDocuments"]),
    .library(name: "HeadwaterMongoDB", targets: ["HeadwaterMongoDB"]),
    .library(name: "HeadwaterPostgres", targets: ["HeadwaterPostgres"]),
    .library(name: "SQLiteDriver", targets: ["SQLiteDriver"]),
    .library(name: "AdapterContract", targets: ["AdapterContract"]),
    .executable(name: "headwater", targets: ["HeadwaterCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CSQLite", pkgConfig: "sqlite3",
      providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
    .systemLibrary(
      name: "CSodium", pkgConfig: "libsodium",
      providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]),
    .systemLibrary(
      name: "CLibpq", pkgConfig: "libpq",
      providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),

    .target(name: "HeadwaterModel", swiftSettings: strict),
    .target(name: "HeadwaterLog", dependencies: ["HeadwaterModel"], swiftSettings: strict),
    .target(name: "HeadwaterStream", dependencies: ["HeadwaterModel"], swiftSettings: strict),
    .target(
      name: "HeadwaterSync", dependencies: ["HeadwaterLog", "HeadwaterModel"],
      swiftSettings: strict),
    .target(
      name: "HeadwaterMesh",
      dependencies: ["CSodium", "HeadwaterSync", "HeadwaterLog", "HeadwaterModel"] + nio,
      swiftSettings: strict),
    .target(name: "SQLiteDriver", dependencies: ["CSQLite"], swiftSettings: strict),
    .target(
      name: "HeadwaterSodium", dependencies: ["CSodium", "HeadwaterLog", "HeadwaterModel"],
      swiftSettings: strict),
    .target(
      name: "HeadwaterStore",
      dependencies: ["HeadwaterLog", "HeadwaterStream", "HeadwaterModel", "SQLiteDriver"],
      swiftSettings: strict),
    .target(
      name: "Headwater",
      dependencies: [
        "HeadwaterModel", "HeadwaterLog", "HeadwaterStream", "HeadwaterStore", "HeadwaterSync",
        "HeadwaterSodium",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "HeadwaterCommand",
      dependencies: [
        "Headwater", "HeadwaterMemory", "HeadwaterSQLite", "HeadwaterDocuments",
        "HeadwaterMongoDB", "HeadwaterPostgres", "SQLiteDriver", argumentParser,
      ],
      swiftSettings: strict),

    .target(
      name: "HeadwaterRelational", dependencies: ["HeadwaterStream", "HeadwaterModel"],
      path: "Adapters/Relational", swiftSettings: strict),
    .target(
      name: "HeadwaterMemory", dependencies: ["HeadwaterStream", "HeadwaterModel"],
      path: "Adapters/Memory", swiftSettings: strict),
    .target(
      name: "HeadwaterSQLite",
      dependencies: ["HeadwaterRelational", "HeadwaterStream", "HeadwaterModel", "SQLiteDriver"],
      path: "Adapters/SQLite", swiftSettings: strict),
    .target(
      name: "HeadwaterDocuments",
      dependencies: ["HeadwaterStream", "HeadwaterModel", "SQLiteDriver"],
      path: "Adapters/Documents", swiftSettings: strict),
    .target(
      name: "HeadwaterMongoDB",
      dependencies: ["HeadwaterDocuments", "HeadwaterStream", "HeadwaterModel", "CSodium"],
      path: "Adapters/MongoDB", swiftSettings: strict),
    .target(
      name: "HeadwaterPostgres",
      dependencies: ["HeadwaterRelational", "HeadwaterStream", "HeadwaterModel", "CLibpq"],
      path: "Adapters/Postgres", swiftSettings: strict),
    .target(
      name: "AdapterContract", dependencies: ["HeadwaterStream", "HeadwaterModel"],
      path: "Adapters/AdapterContract", swiftSettings: strict),

    .testTarget(
      name: "HeadwaterModelTests", dependencies: ["HeadwaterModel"], swiftSettings: strict),
    .testTarget(
      name: "HeadwaterLogTests", dependencies: ["HeadwaterLog", "HeadwaterModel"],
      swiftSettings: strict),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "Headwater", "HeadwaterSync", "HeadwaterMemory", "HeadwaterStore", "HeadwaterSodium",
        "HeadwaterStream", "HeadwaterLog", "HeadwaterModel",
      ], swiftSettings: strict),
    .testTarget(
      name: "HeadwaterSyncTests",
      dependencies: ["HeadwaterSync", "HeadwaterSodium", "HeadwaterLog", "HeadwaterModel"],
      exclude: ["reconcile.py"], swiftSettings: strict),
    .testTarget(
      name: "HeadwaterSodiumTests",
      dependencies: ["HeadwaterSodium", "HeadwaterLog", "HeadwaterModel"], swiftSettings: strict),
    .testTarget(
      name: "HeadwaterMeshTests",
      dependencies: [
        "HeadwaterMesh", "HeadwaterSync", "HeadwaterSodium", "HeadwaterLog", "HeadwaterModel",
      ] + nio, swiftSettings: strict),
    .testTarget(
      name: "HeadwaterStreamTests",
      dependencies: ["HeadwaterStream", "HeadwaterModel", "HeadwaterMemory", "AdapterContract"],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterStoreTests",
      dependencies: [
        "HeadwaterStore", "HeadwaterSodium", "HeadwaterStream", "HeadwaterLog", "HeadwaterModel",
        "HeadwaterMemory", "HeadwaterSQLite", "SQLiteDriver",
      ], swiftSettings: strict),
    .testTarget(
      name: "HeadwaterRelationalTests",
      dependencies: [
        "HeadwaterRelational", "HeadwaterSQLite", "HeadwaterStream", "HeadwaterModel",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterSQLiteTests",
      dependencies: [
        "HeadwaterSQLite", "HeadwaterRelational", "HeadwaterStream", "HeadwaterModel",
        "SQLiteDriver", "AdapterContract",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterPostgresTests",
      dependencies: [
        "HeadwaterPostgres", "HeadwaterRelational", "HeadwaterStream", "HeadwaterModel",
        "AdapterContract", "Headwater", "HeadwaterCommand",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterMemoryTests",
      dependencies: ["HeadwaterMemory", "HeadwaterStream", "HeadwaterModel", "AdapterContract"],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterDocumentsTests",
      dependencies: [
        "HeadwaterDocuments", "HeadwaterStream", "HeadwaterModel", "SQLiteDriver",
        "AdapterContract",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterMongoDBTests",
      dependencies: [
        // Runs the tool, so it has to be built.
        "HeadwaterCommand", "HeadwaterMongoDB", "HeadwaterDocuments", "HeadwaterStream",
        "HeadwaterModel",
        "AdapterContract",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ContractTests",
      dependencies: ["AdapterContract", "HeadwaterMemory", "HeadwaterStream", "HeadwaterModel"],
      swiftSettings: strict),
    .testTarget(
      name: "HeadwaterCommandTests", dependencies: ["HeadwaterCommand", "HeadwaterModel"],
      swiftSettings: strict),
    .testTarget(name: "ArchitectureTests", swiftSettings: strict),
    // Runs the tool, so it has to be built.
    .testTarget(
      name: "DocumentationTests",
      dependencies: ["HeadwaterCommand", "Headwater", "HeadwaterSQLite"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
