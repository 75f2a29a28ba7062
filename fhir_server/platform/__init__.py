"""The interface of those who run the platform, for whom there are many clinics. docs/platform.md"""
