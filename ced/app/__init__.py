"""The page of `ced app`: photographs restored in a browser, on this machine. Streamlit is known to this room alone."""
