"""The basic engine: looks at pixels on a bare CPU with packaged models. It knows little and says so."""
