// API keys, and the dashboard's login.
