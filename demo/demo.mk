# demo.mk: the demo's targets, included by the top Makefile.

.PHONY: demo demo-stop

demo:
	@demo/run

demo-stop:
	@demo/stop
