# The test of who waits for a cell runs the launcher, and programs of testbed/escape.
$(BUILD)/unit/waiting_test: | $(BUILD)/assay-launcher $(BUILD)/assay-init $(ESCAPE)
