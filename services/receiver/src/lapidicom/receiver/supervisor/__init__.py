"""The supervisor: owns listening sockets, children, signals and health; knows neither DICOM nor AMQP."""
