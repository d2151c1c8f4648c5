# The test of helpers decides what is killed.
$(BUILD)/unit/helper_test: private LDFLAGS += -Wl,--wrap=kill
