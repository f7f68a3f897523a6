# For node-gyp and the tools that call it: one target that runs the CMake build and compiles nothing itself.
{
  'targets': [
    {
      'target_name': 'selective_scan',
      'type': 'none',
      'actions': [
        {
          'action_name': 'build_native',
          'inputs': [
            'CMakeLists.txt',
            'scripts/build-native.cjs',
            "<!@(node -p \"fs.readdirSync('.', { recursive: true }).filter((f) => /^(native|cuda)[\\\\/].*\\.(h|cc|cuh?|cmake)$/.test(f)).join(' ').replaceAll('\\\\\\\\', '/')\")",
          ],
          'outputs': ['<(PRODUCT_DIR)/selective_scan.node'],
          'action': ['node', 'scripts/build-native.cjs'],
        },
      ],
    },
  ],
}
