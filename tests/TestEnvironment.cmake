# Read by ctest, whose environment is that of the tests: what is in the user's cache shall not
# matter to them. Those of the cache have folders of their own.
set(ENV{QUERN_KERNEL_CACHE} off)
