#!/usr/bin/env node
// Builds the native binding of an installed package from source, for where install scripts are blocked or no prebuilt
// binary fits.
require('../scripts/build-native.cjs');
